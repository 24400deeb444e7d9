/* SPDX-License-Identifier: MIT */
/* What a client may do, by its uid and the broker's. */
#include "daemon/model/policy.h"

#include "common/region.h"
#include "daemon/config/config.h"
#include "tests/suite.h"

#include <string.h>

#define OWN_UID 990
#define STRANGER 1000
#define PAGE UINT32_C(4096)
#define HUGE_PAGE (UINT32_C(2) << 20)

GROUP(policy);

static const struct {
    uid_t own_uid, uid;
    bool trusted;
} uids[] = {
    {OWN_UID, 0, true},
    {OWN_UID, OWN_UID, true},
    {OWN_UID, OWN_UID - 1, false},
    {OWN_UID, OWN_UID + 1, false},
    {OWN_UID, UINT32_MAX, false},
    {0, 0, true},
    {0, OWN_UID, false}, /* of a broker of root's */
};

LOOP_TEST(root_and_the_brokers_own_user_are_trusted, COUNT_OF(uids))
{
    const struct fipc_identity peer = {.uid = uids[_i].uid, .gid = OWN_UID, .pid = 1};

    ck_assert_int_eq(policy_is_trusted(uids[_i].own_uid, &peer), uids[_i].trusted);
}

static const struct {
    uid_t uid;
    const char *name;
    bool may;
} names[] = {
    {0, "com.example.thermo", true},
    {OWN_UID, "com.example.thermo", true},
    {STRANGER, "com.example.thermo", false},
    {0, "fipc.echo", false},
    {OWN_UID, "fipc.echo", false},
    {STRANGER, "fipc.echo", false},
    {OWN_UID, "fipc.new", false},
    {OWN_UID, "fipcd.echo", true},
    {OWN_UID, "x.fipc.echo", true},
};

LOOP_TEST(trusted_clients_serve_names_that_are_not_the_brokers, COUNT_OF(names))
{
    const struct fipc_identity peer = {.uid = names[_i].uid};

    ck_assert_int_eq(policy_may_serve(OWN_UID, &peer, names[_i].name, strlen(names[_i].name)),
                     names[_i].may);
}

static const struct {
    uint32_t request_bytes, reply_bytes;
    bool may_trusted, may_stranger;
} rings[] = {
    {PAGE, PAGE, true, true},
    {PAGE, 2 * PAGE, true, true},
    {2 * PAGE, 2 * PAGE, true, true},
    {PAGE, 4 * PAGE, true, true},
    {HUGE_PAGE / 4, HUGE_PAGE / 4, true, true},
    {HUGE_PAGE / 2, HUGE_PAGE / 2, true, false}, /* and the control page */
    {HUGE_PAGE, PAGE, true, false},
    {PAGE, HUGE_PAGE, true, false},
    {2 * HUGE_PAGE, 2 * HUGE_PAGE, true, false},
    {2 * HUGE_PAGE + 1, PAGE, false, false}, /* the limit of the config */
    {PAGE, 2 * HUGE_PAGE + 1, false, false},
    {UINT32_MAX, UINT32_MAX, false, false},
};

LOOP_TEST(rings_of_strangers_hold_no_huge_page, COUNT_OF(rings))
{
    const struct config config = {.slots = {.ring_bytes_max = 2 * HUGE_PAGE}};
    const struct fipc_identity root = {.uid = 0}, own = {.uid = OWN_UID},
                               stranger = {.uid = STRANGER};
    uint32_t request_bytes = rings[_i].request_bytes, reply_bytes = rings[_i].reply_bytes;

    ck_assert_int_eq(policy_may_have_rings(OWN_UID, &root, &config, request_bytes, reply_bytes),
                     rings[_i].may_trusted);
    ck_assert_int_eq(policy_may_have_rings(OWN_UID, &own, &config, request_bytes, reply_bytes),
                     rings[_i].may_trusted);
    ck_assert_int_eq(policy_may_have_rings(OWN_UID, &stranger, &config, request_bytes, reply_bytes),
                     rings[_i].may_stranger);
}

static const struct {
    uid_t uid;
    uint32_t default_bytes, bytes;
} unasked[] =
    {
        {0, 4 * PAGE, 4 * PAGE},        {OWN_UID, 4 * PAGE, 4 * PAGE},
        {STRANGER, 4 * PAGE, 2 * PAGE}, {STRANGER, 2 * PAGE, 2 * PAGE},
        {STRANGER, PAGE, PAGE}, /* never more than trusted clients get */
};

LOOP_TEST(ring_that_a_stranger_does_not_ask_for_is_small, COUNT_OF(unasked))
{
    const struct config config = {.slots = {.stranger_ring_bytes = 2 * PAGE}};
    const struct fipc_identity peer = {.uid = unasked[_i].uid};

    ck_assert_uint_eq(policy_ring_bytes(OWN_UID, &peer, &config, unasked[_i].default_bytes),
                      unasked[_i].bytes);
}

static const struct {
    uint32_t n_wanted, n_trusted, n_stranger;
} places[] = {
    {0, 1024, 64},      {1, 32, 32},        {32, 32, 32},
    {33, 33, 33},       {64, 64, 64},       {512, 512, 512},
    {1024, 1024, 1024}, {1025, 1024, 1024}, {UINT32_MAX, 1024, 1024},
};

LOOP_TEST(places_are_as_many_as_a_client_asks_for_within_bounds, COUNT_OF(places))
{
    const struct fipc_identity root = {.uid = 0}, own = {.uid = OWN_UID},
                               stranger = {.uid = STRANGER};
    uint32_t n_wanted = places[_i].n_wanted;

    ck_assert_uint_eq(policy_places(OWN_UID, &root, n_wanted), places[_i].n_trusted);
    ck_assert_uint_eq(policy_places(OWN_UID, &own, n_wanted), places[_i].n_trusted);
    ck_assert_uint_eq(policy_places(OWN_UID, &stranger, n_wanted), places[_i].n_stranger);
}
