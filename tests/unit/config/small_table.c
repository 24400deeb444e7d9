/* SPDX-License-Identifier: MIT */
#include "tests/unit/config/small_table.h"

#define KEY(section_, name_, type_, field_) CONFIG_KEY(struct small, section_, name_, type_, field_)

static const struct config_choice choices[] = {{"low", 3}, {"high", -7}, {0}};

static const struct config_key members[] = {
    {CONFIG_MEMBER(struct small_item, number, CONFIG_NUMBER, uint32_t), .min = 1, .max = 9,
     .help = "A number"},
    {CONFIG_MEMBER(struct small_item, user, CONFIG_USER, char *), .min = 1, .max = 4,
     .help = "A user"},
};

static const struct config_key keys[] = {
    {KEY(one, number, CONFIG_NUMBER, uint32_t), .min = 1, .max = 9, .value.number = 5,
     .help = "A number"},
    {KEY(one, power_bytes, CONFIG_POWER_OF_TWO, uint32_t), .min = 2, .max = 16, .unit = "bytes",
     .at_most = "one.power_max", .value.number = 4, .help = "A power"},
    {KEY(one, power_max, CONFIG_POWER_OF_TWO, uint32_t), .min = 2, .max = 16, .value.number = 8,
     .help = "Its limit"},
    {KEY(other, mode, CONFIG_MODE, uint32_t), .min = 0, .max = 0770, .value.number = 0640,
     .help = "A mode"},
    {KEY(other, path, CONFIG_PATH, char *), .min = 1, .max = 6, .value.text = "/x",
     .help = "A path"},
    {KEY(other, name, CONFIG_NAME, char *), .min = 2, .max = 4, .value.text = NULL,
     .help = "A name"},
    {KEY(other, choice, CONFIG_CHOICE, int), .choices = choices, .value.number = -7,
     .help = "A choice"},
    {KEY(other, list, CONFIG_LIST, struct config_list), .members = members, .n_members = 2,
     .item_bytes = sizeof(struct small_item), .help = "A list"},
};

const struct config_table small_table = {
    .keys = keys,
    .n_keys = sizeof(keys) / sizeof(keys[0]),
    .values_bytes = sizeof(struct small),
    .title = "A small table",
};
