/*
 * test_word_forms.c: forms of addresses, organisations, telephone numbers and e-mail addresses, in a target
 * as large as the text.
 */
#include <stdlib.h>

#include "kernel/word_forms.h"
#include "unit.h"

typedef size_t (*form_function)(const char *text, size_t length, char *target);

/* Text and target are allocated to size: what goes beyond shows. */
static bool
becomes(form_function form, const char *text, const char *expected)
{
    size_t length = strlen(text), written;
    char *copy = malloc(length + 1), *target = malloc(length == 0 ? 1 : length);
    bool same;

    if (copy == NULL || target == NULL)
        abort();
    memcpy(copy, text, length + 1);
    written = form(copy, length, target);
    same = written == strlen(expected) && memcmp(target, expected, written) == 0;
    free(copy);
    free(target);
    return same;
}

/* All addresses of a text, each with a space behind it. */
static bool
addresses(const char *text, const char *expected)
{
    size_t length = strlen(text), place = 0, written, used = 0;
    char target[200], found[200];

    while (word_forms_email_next(text, length, &place, target, &written)) {
        memcpy(found + used, target, written);
        used += written;
        found[used++] = ' ';
    }
    return used == strlen(expected) && memcmp(found, expected, used) == 0;
}

static bool
is_role(const char *email)
{
    size_t length = strlen(email);
    char *copy = malloc(length == 0 ? 1 : length); /* to its last byte, so that a byte behind it is seen */
    bool role;

    if (copy == NULL)
        abort();
    memcpy(copy, email, length);
    role = word_forms_is_role_mailbox(copy, length);
    free(copy);
    return role;
}

int
main(void)
{
    static const char *const words[] = {"street", "st",   "l", "c", "inc",   "company",
                                        "the",    "acme", "s", "a", "first", "12"};
    uint64_t seed = 11;
    bool sound = true;

    unit_ok(becomes(word_forms_address, "12 north main street apartment 4", "12 n main st apt 4") &&
                becomes(word_forms_address, "12 n main st apt 4", "12 n main st apt 4") &&
                becomes(word_forms_address, "first avenue", "1st av") &&
                becomes(word_forms_address, "hauptstrasse 3", "hauptstrasse 3"),
            "addresses");
    unit_ok(becomes(word_forms_organization, "the acme manufacturing company inc", "acme mfg") &&
                becomes(word_forms_organization, "acme holdings l l c", "acme holdings") &&
                becomes(word_forms_organization, "foo s p a", "foo") &&
                becomes(word_forms_organization, "foo gmbh co kg", "foo"),
            "legal forms go, one after the other, letters apart among them");
    unit_ok(becomes(word_forms_organization, "company", "company") &&
                becomes(word_forms_organization, "inc", "inc") &&
                becomes(word_forms_organization, "a b c", "a b c") &&
                becomes(word_forms_organization, "the", "the"),
            "a name that is nothing else stays");
    unit_ok(becomes(word_forms_email, "Jay Jones <JJones@x.org>; jj@y.org", "jjones@x.org") &&
                becomes(word_forms_email, "mailto:a_b+c@d-e.f.", "a_b+c@d-e.f") &&
                becomes(word_forms_email, "'.j.o'neil@x.org'", "j.o'neil@x.org"),
            "the first e-mail address in a text");
    unit_ok(is_role("info@x.org") && is_role("no-reply@x.org") && is_role("webmaster+a@x.org") &&
                is_role("do_not.reply@x.org") && is_role("customer-service@x.org") &&
                !is_role("informationinformation@x.org") && !is_role("--@x.org") && !is_role("info") &&
                !is_role("infos@x.org") && !is_role("inf@x.org") && !is_role("@x.org") && !is_role("") &&
                !is_role("jay.sales@x.org"),
            "mailboxes of roles");
    unit_ok(addresses("Jay Jones <JJones@x.org>; jj@y.org, jj@z.org/a@b c@@d.e@f",
                      "jjones@x.org jj@y.org jj@z.org a@b d.e@f "),
            "word_forms_email_next: one behind the other");
    unit_ok(becomes(word_forms_email, "to \"John Doe\"@X.org,", "\"john doe\"@x.org") &&
                becomes(word_forms_email, "\"JJ.x\"@x.org", "jj.x@x.org") &&
                becomes(word_forms_email, "\"a@b\"@x.org", "\"a@b\"@x.org") &&
                becomes(word_forms_email, "\"a..b\"@x.org", "\"a..b\"@x.org") &&
                becomes(word_forms_email, "\"a\\\"b\"@x.org", "\"a\\\"b\"@x.org") &&
                becomes(word_forms_email, "\"'a\"@x.org", "\"'a\"@x.org"),
            "a local part in quotes, which go where it needs none");
    unit_ok(addresses("\"Jay\" <jj@x.org>, \"a@x.org\",\"b@y.org\" \"c d\"@z.org\"e\"@f",
                      "jj@x.org a@x.org b@y.org \"c d\"@z.org e@f ") &&
                becomes(word_forms_email, "\"\"@x.org", "\"\"@x.org") &&
                becomes(word_forms_email, "\"a\"@", "\"a\"@") &&
                becomes(word_forms_email, "\"a\\\"@x.org", "\"a\\\"@x.org") &&
                becomes(word_forms_email, "\"a b", "\"a b") &&
                becomes(word_forms_email, "\"a\nb c\"@x.org", "\"a\nb c\"@x.org") &&
                becomes(word_forms_email,
                        "\"1 34567890123456789012345678901234567890123456789012345678901234\"@x.org",
                        "\"1 34567890123456789012345678901234567890123456789012345678901234\"@x.org"),
            "other quotes are none of an address");
    unit_ok(becomes(word_forms_email, "None", "none") && becomes(word_forms_email, "@", "@") &&
                becomes(word_forms_email, "A@", "a@") && becomes(word_forms_email, "x @ y.z", "x @ y.z") &&
                becomes(word_forms_email, "", ""),
            "a text without an address stays, in lower case");
    unit_ok(becomes(word_forms_phone, "3903526553537", "526553537") &&
                becomes(word_forms_phone, "03526553537", "526553537") &&
                becomes(word_forms_phone, "123", "123"),
            "telephone numbers");
    unit_ok(becomes(word_forms_address, "", "") && becomes(word_forms_organization, "", "") &&
                becomes(word_forms_phone, "", ""),
            "nothing");
    unit_ok(word_forms_looks_like_address("12 main street", 14) &&
                word_forms_looks_like_address("12 main st", 10) &&
                !word_forms_looks_like_address("main street", 11) &&
                !word_forms_looks_like_address("12 monkeys", 10) && word_forms_legal("acme ltd", 8) &&
                !word_forms_legal("ltd", 3) && !word_forms_legal("", 0),
            "what looks like an address, and like an organisation");
    for (int trial = 0; trial < 20000; trial++) {
        char text[256] = "", once[256], twice[256];
        size_t length;

        for (uint64_t n = unit_random(&seed) % 9; n > 0; n--) {
            strcat(text, text[0] == '\0' ? "" : " ");
            strcat(text, words[unit_random(&seed) % 12]);
        }
        length = word_forms_address(text, strlen(text), once);
        sound &= length <= strlen(text) && word_forms_address(once, length, twice) == length &&
                 memcmp(once, twice, length) == 0;
        sound &= word_forms_organization(text, strlen(text), once) <= strlen(text);
    }
    unit_ok(sound, "never longer than the text, and an address in its form stays");
    return unit_done();
}
