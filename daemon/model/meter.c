/* SPDX-License-Identifier: MIT */
#include "daemon/model/meter.h"

static const char *const names[] = {
    [ACT_GREETING] = "greeting", [ACT_SEATING] = "seating",   [ACT_CLOSE] = "close",
    [ACT_WAKE] = "wake",         [ACT_DEADLINE] = "deadline", [ACT_REPORT] = "report",
};

const char *act_name(enum act act) { return names[act]; }

static uint64_t difference(uint64_t more, uint64_t less) { return more > less ? more - less : 0; }

/* Return: how long the loop was without the CPU since it was last known */
static uint64_t look_away(struct meter *meter, uint64_t now_ns)
{
    uint64_t cpu_ns = meter->cpu_clock() - meter->began_cpu_ns;
    uint64_t away_ns = difference(now_ns - meter->began_ns, cpu_ns);
    uint64_t more_ns = difference(away_ns, meter->away_ns);

    meter->away_ns += more_ns;
    return more_ns;
}

/* Counts what took @span_ns of CPU time. */
static void count(struct meter_count *count, uint64_t span_ns, uint64_t long_ns)
{
    count->n_long += span_ns > long_ns;
    if (span_ns > count->max_ns)
        count->max_ns = span_ns;
}

void meter_begin_turn(struct meter *meter, uint64_t now_ns, uint64_t end_ns)
{
    meter->end_ns = end_ns;
    meter->n_late = 0;
    meter->began_ns = now_ns;
    meter->began_cpu_ns = meter->cpu_clock();
    meter->away_ns = 0;
}

void meter_end_turn(struct meter *meter, uint64_t now_ns)
{
    uint64_t span_ns = now_ns - meter->began_ns;

    meter->turns.n++;
    if (meter->n_late > meter->late_max)
        meter->late_max = meter->n_late;
    if (span_ns <= meter->turns.max_ns && span_ns <= METER_TURN_NS)
        return;
    (void)look_away(meter, now_ns);
    count(&meter->turns, difference(span_ns, meter->away_ns), METER_TURN_NS);
}

void meter_begin_act(struct meter *meter, uint64_t now_ns)
{
    meter->n_late += now_ns >= meter->end_ns;
}

void meter_count(struct meter *meter, enum act act, uint64_t began_ns, uint64_t now_ns)
{
    struct meter_count *of_kind = &meter->acts[act];
    uint64_t span_ns = now_ns - began_ns;

    of_kind->n++;
    if (span_ns > of_kind->max_ns || span_ns > METER_ACT_NS)
        count(of_kind, difference(span_ns, look_away(meter, now_ns)), METER_ACT_NS);
}
