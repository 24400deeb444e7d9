/* SPDX-License-Identifier: MIT */
/* Every public function in a thread with the smallest stack that there may be. */
#include "tests/integration/client_fixture.h"

#include <fipc/service.h>
#include <limits.h>

#define STACK_BYTES 16384

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

#define NAME "com.example.small"

static unsigned char large[20000];

static void answer(fipc_request *request, void *userdata)
{
    (void)userdata;
    EXPECT(fipc_reply(request, fipc_request_data(request), fipc_request_size(request)) == 0);
}

static void count(int error, const fipc_message *reply, void *userdata)
{
    (void)reply;
    *(int *)userdata += error == 0;
}

static void *use_all(void *arg)
{
    const fipc_options *options = arg;
    fipc_client *own;
    fipc_message *message;
    int n_ended = 0;

    EXPECT(fipc_connect(&own, options) == 0);
    EXPECT(fipc_call(own, "fipc.echo", large, sizeof(large), 0, PATIENT_MS, &message) == 0);
    EXPECT(fipc_size(message) == sizeof(large));
    fipc_free(message);
    EXPECT(fipc_call_once(options, "fipc.echo", "x", 1, PATIENT_MS, &message) == 0);
    fipc_free(message);
    EXPECT(fipc_call_once(options, "fipc.echo", large, sizeof(large), PATIENT_MS, NULL) == 0);
    EXPECT(fipc_loan(own, "fipc.echo", 100, &message) == 0);
    EXPECT(fipc_send(message, 0, PATIENT_MS, NULL) == 0);
    EXPECT(fipc_serve(own, NAME, 1, answer, NULL) == 0);
    EXPECT(fipc_wait(own, NAME, PATIENT_MS) == 0);
    EXPECT(fipc_submit(own, NAME, large, sizeof(large), 0, PATIENT_MS, count, &n_ended, NULL) == 0);
    EXPECT(fipc_fd(own) >= 0);
    while (n_ended == 0)
        EXPECT(fipc_dispatch(own, PATIENT_MS) >= 0);
    EXPECT(fipc_strerror(-EPROTONOSUPPORT) != NULL);
    fipc_unref(own);
    return NULL;
}

GROUP(stack, .timeout = 60, .fixtures = {{set_up_broker, tear_down_client}});

TEST(thread_with_16_kib_may_do_everything)
{
    fipc_options options = options_for_broker();
    pthread_attr_t attributes;
    pthread_t thread;

#ifdef SANITIZED
    (void)printf("SKIP: a sanitizer makes frames larger\n");
    return;
#endif
    if (PTHREAD_STACK_MIN > STACK_BYTES) {
        (void)printf("SKIP: no thread of this system can have so small a stack\n");
        return;
    }
    ck_assert_int_eq(pthread_attr_init(&attributes), 0);
    ck_assert_int_eq(pthread_attr_setstacksize(&attributes, STACK_BYTES), 0);
    ck_assert_int_eq(pthread_create(&thread, &attributes, use_all, &options), 0);
    thread_join(thread);
    (void)pthread_attr_destroy(&attributes);
}
