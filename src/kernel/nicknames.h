/*
 * nicknames.h: English given names and what people make of them, Bob of Robert.
 *
 * A compact table from general knowledge, of lower-case ASCII words as normalisation leaves them. A name may
 * belong to several groups (bert). Two names of one group may be the same person's; they need not.
 */
#ifndef MASTERING_KERNEL_NICKNAMES_H
#define MASTERING_KERNEL_NICKNAMES_H

#include "kernel/text_view.h"

/* Builds the look-up once, before there are threads; until then no name is known. */
void nicknames_prepare(void);

/* Whether a group has the name. */
bool nickname_known(text_view name);

/* Whether it is a given name at all, of a group or of given_names.h. */
bool given_name_known(text_view name);

/* A bit for each group that has the name, of so many bits. */
uint32_t nickname_bits(text_view name, uint32_t bits);

/* Whether two different names are of one group. */
bool nicknames_agree(text_view a, text_view b);

#endif
