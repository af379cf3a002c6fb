/*
 * word_forms.h: one form of words that people write in several: street types, legal forms of organisations,
 * telephone numbers with and without their country.
 *
 * Texts are as normalisation leaves them (lower case, words apart by one space), in any encoding that
 * contains ASCII. What is written is never longer than what was read, so the target may have the size of the
 * text. Returns the bytes written.
 */
#ifndef MASTERING_KERNEL_WORD_FORMS_H
#define MASTERING_KERNEL_WORD_FORMS_H

#include <stdbool.h>
#include <stddef.h>

/* Street types, directions, parts of buildings and ordinal numbers, abbreviated: "12 north main street" is
 * "12 n main st". */
size_t word_forms_address(const char *text, size_t length, char *target);

/*
 * Without legal forms at the end ("acme holdings l l c" is "acme holdings") and "the" at the start, common
 * words abbreviated; what is nothing but those stays.
 */
size_t word_forms_organization(const char *text, size_t length, char *target);

/* Whether a text has a word with a digit and one that the table of addresses knows, long or short. */
bool word_forms_looks_like_address(const char *text, size_t length);

/* Whether a legal form ends the text. */
bool word_forms_legal(const char *text, size_t length);

/* Of digits the last nine: those before are of the country, of the way out of one's own, or the area's first.
 */
size_t word_forms_phone(const char *digits, size_t length, char *target);

/*
 * The first e-mail address in a text, ASCII in lower case: of "Jay Jones <JJones@x.org>; mailto:jj@y.org" it
 * is "jjones@x.org". A local part in quotes (RFC 5321) keeps them where it would be none without. A text
 * without an address stays, in lower case.
 */
size_t word_forms_email(const char *text, size_t length, char *target);

/* The next address from *place on, in the same form; false where there is none. *place is then behind it. */
bool word_forms_email_next(const char *text, size_t length, size_t *place, char *target, size_t *written);

/*
 * Whether an e-mail address (of word_forms_email) is the mailbox of a role, which several people share, and
 * not of a person: RFC 2142 (Crocker 1997), and what firms and offices call theirs. Hyphens, underscores,
 * full stops and what follows a plus do not count.
 */
bool word_forms_is_role_mailbox(const char *email, size_t length);

#endif
