/*
 * latin_name.h: names in other scripts, in Latin letters.
 *
 * Normalisation romanises alphabets, but leaves Chinese characters, which tell two names apart better than
 * their sound does. Beside a name in Latin letters the sound is all there is. Scripts that leave out vowels,
 * or whose names are spelt in Latin letters by other rules than their sound, say nothing there, rather than
 * something wrong.
 */
#ifndef MASTERING_ENGINE_LATIN_NAME_H
#define MASTERING_ENGINE_LATIN_NAME_H

#include "compat.h"

#include "kernel/text_view.h"

/* The name, its Chinese characters as pinyin; NULL where its letters do not say. Main thread only. */
extern text *latin_name(text_view name);

#endif
