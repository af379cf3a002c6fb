/*
 * given_names.h: given names of many countries that nicknames.c has in none of its groups, in small letters
 * without accents, as they are written where letters are few. They tell a column of names of persons from
 * others; names that are everyday words or places as well (Dawn, Austin) are not among them.
 */
#ifndef MASTERING_KERNEL_GIVEN_NAMES_H
#define MASTERING_KERNEL_GIVEN_NAMES_H

#include <stddef.h>

extern const char *const given_names[]; /* several to a string, with spaces between */
extern const size_t given_names_count;

#endif
