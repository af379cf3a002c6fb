/*
 * name_words.h: how rare the words are that two names of persons share which are not the same.
 *
 * That two records have the same rare name says more than that they have the same frequent one; so it does
 * where the names differ in an initial or a letter: of "Margaret Charney" and "Peggie Charney" the surname,
 * of "Andrew Smith" and "Andy Smith" the surname, too. What the rarest shared word adds is log2(usual share /
 * share), the usual share being the one at which strangers that share a word gain nothing on average; and of
 * that a half, for relatives share a surname however rare it is.
 *
 * Where the words of the same values are compared by how rare they are anyway (TF-IDF), it is not said again.
 */
#ifndef MASTERING_ENGINE_NAME_WORDS_H
#define MASTERING_ENGINE_NAME_WORDS_H

#include "engine/run.h"

/* The words of a name, each once (elements.h). */
extern bool next_name_word(text_view name, uint32 *place, text_view *word);

/* Learns it for a comparison of names of several words, into its specification; others have none. */
extern void name_words_learn(match_run *run, match_spec *spec, int c);

#endif
