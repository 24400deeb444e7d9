/* SPDX-License-Identifier: MIT */

/* Figures mean nothing without the machine that they come from. */
#include "client/fipctl/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define GOVERNOR_FILE "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
#define LINE_BYTES 512

/* The first line of @file that begins with @key, without key, blanks and ':'. null: there is none.
 */
static json_t *line_of(const char *file, const char *key)
{
    char line[LINE_BYTES];
    FILE *stream = fopen(file, "re");
    json_t *value = NULL;

    if (stream == NULL)
        return json_null();
    while (value == NULL && fgets(line, sizeof(line), stream) != NULL) {
        const char *text = line + strlen(key);

        if (strncmp(line, key, strlen(key)) != 0)
            continue;
        text += strspn(text, " \t:");
        value = json_stringn(text, strcspn(text, "\n"));
    }
    (void)fclose(stream);
    return value != NULL ? value : json_null();
}

static json_t *load_json(void)
{
    double load;

    return getloadavg(&load, 1) == 1 ? json_real(load) : json_null();
}

static json_t *date_json(void)
{
    char text[32];
    time_t now = time(NULL);
    struct tm utc;

    if (gmtime_r(&now, &utc) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        return json_null();
    return json_string(text);
}

json_t *bench_machine_json(void)
{
    struct utsname name;

    if (uname(&name) < 0)
        return json_null();
    return json_pack("{s:s, s:s, s:s, s:o, s:I, s:o, s:o, s:o}", "system", name.sysname, "kernel",
                     name.release, "architecture", name.machine, "cpu",
                     line_of("/proc/cpuinfo", "model name"), "cpus",
                     (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "governor",
                     line_of(GOVERNOR_FILE, ""), "load", load_json(), "date", date_json());
}
