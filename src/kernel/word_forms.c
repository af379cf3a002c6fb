/*
 * word_forms.c: see word_forms.h. The tables are from general knowledge, in English with the commonest forms
 * of its neighbours.
 */
#include "kernel/word_forms.h"

#include <stdlib.h>
#include <string.h>

#define PHONE_DIGITS 9
#define LONGEST_WORD 16
#define MOST_LETTERS 6 /* that stand apart and make a legal form: s a r l */

typedef struct word_form {
    const char *word, *form;
} word_form;

/* Ascending. */
static const word_form address_forms[] = {
    {"allee", "al"},      {"alley", "aly"},     {"apartment", "apt"}, {"appartment", "apt"},
    {"ave", "av"},        {"avenida", "av"},    {"avenue", "av"},     {"avn", "av"},
    {"beach", "bch"},     {"block", "blk"},     {"boul", "blvd"},     {"boulevard", "blvd"},
    {"bridge", "brg"},    {"broadway", "bway"}, {"building", "bldg"}, {"calle", "c"},
    {"center", "ctr"},    {"centre", "ctr"},    {"chaussee", "ch"},   {"circle", "cir"},
    {"close", "cl"},      {"court", "ct"},      {"crescent", "cres"}, {"drive", "dr"},
    {"east", "e"},        {"eighth", "8th"},    {"estate", "est"},    {"expressway", "expy"},
    {"fifth", "5th"},     {"first", "1st"},     {"floor", "fl"},      {"fort", "ft"},
    {"fourth", "4th"},    {"freeway", "fwy"},   {"garden", "gdn"},    {"gardens", "gdns"},
    {"grove", "gr"},      {"heights", "hts"},   {"highway", "hwy"},   {"hill", "hl"},
    {"hills", "hls"},     {"house", "hse"},     {"island", "is"},     {"junction", "jct"},
    {"lane", "ln"},       {"level", "lvl"},     {"mount", "mt"},      {"mountain", "mtn"},
    {"ninth", "9th"},     {"north", "n"},       {"northeast", "ne"},  {"northwest", "nw"},
    {"number", "no"},     {"parade", "pde"},    {"park", "pk"},       {"parkway", "pkwy"},
    {"place", "pl"},      {"platz", "pl"},      {"plaza", "plz"},     {"point", "pt"},
    {"road", "rd"},       {"room", "rm"},       {"route", "rte"},     {"saint", "st"},
    {"second", "2nd"},    {"seventh", "7th"},   {"sixth", "6th"},     {"south", "s"},
    {"southeast", "se"},  {"southwest", "sw"},  {"square", "sq"},     {"station", "sta"},
    {"str", "st"},        {"strasse", "st"},    {"street", "st"},     {"suite", "ste"},
    {"tenth", "10th"},    {"terrace", "ter"},   {"third", "3rd"},     {"trail", "trl"},
    {"turnpike", "tpke"}, {"unit", "apt"},      {"valley", "vly"},    {"view", "vw"},
    {"village", "vlg"},   {"west", "w"},
};

/* Ascending. */
static const word_form organization_forms[] = {
    {"american", "amer"},      {"associates", "assoc"}, {"association", "assoc"}, {"brothers", "bros"},
    {"center", "ctr"},         {"centre", "ctr"},       {"college", "coll"},      {"department", "dept"},
    {"distribution", "distr"}, {"engineering", "eng"},  {"enterprises", "entpr"}, {"foundation", "fdn"},
    {"government", "govt"},    {"group", "grp"},        {"hospital", "hosp"},     {"industrial", "ind"},
    {"industries", "ind"},     {"institute", "inst"},   {"insurance", "ins"},     {"international", "intl"},
    {"laboratories", "lab"},   {"laboratory", "lab"},   {"labs", "lab"},          {"management", "mgmt"},
    {"manufacturing", "mfg"},  {"national", "natl"},    {"restaurant", "rest"},   {"service", "svc"},
    {"services", "svc"},       {"svcs", "svc"},         {"system", "sys"},        {"systems", "sys"},
    {"technologies", "tech"},  {"technology", "tech"},  {"university", "univ"},
};

/* Ascending. */
static const char *const legal_forms[] = {
    "ab",          "ag",   "as",  "asa",     "bhd", "bv",   "bvba", "co",  "company",      "corp",
    "corporation", "doo",  "ead", "eg",      "ev",  "gbr",  "gmbh", "inc", "incorporated", "kft",
    "kg",          "kgaa", "kk",  "limited", "llc", "llp",  "lp",   "ltd", "ltda",         "nv",
    "oao",         "ohg",  "ood", "ooo",     "oy",  "oyj",  "pjsc", "plc", "pllc",         "pte",
    "pty",         "pvt",  "sa",  "sarl",    "sas", "sasu", "sdn",  "se",  "sl",           "spa",
    "sprl",        "spz",  "srl", "sro",     "ug",  "zao",
};

static int
compare_forms(const void *a, const void *b)
{
    return strcmp(((const word_form *)a)->word, ((const word_form *)b)->word);
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t
word_length(const char *text, size_t length, size_t from)
{
    size_t end = from;

    while (end < length && text[end] != ' ')
        end++;
    return end - from;
}

/* Writes a word in its form. */
static size_t
write_form(const word_form *forms, size_t count, const char *text, size_t length, char *target)
{
    char word[LONGEST_WORD];
    const word_form *found = NULL;

    if (length < sizeof word) {
        word_form key = {word, NULL};

        memcpy(word, text, length);
        word[length] = '\0';
        found = bsearch(&key, forms, count, sizeof(word_form), compare_forms);
    }
    if (found == NULL) {
        memmove(target, text, length);
        return length;
    }
    memcpy(target, found->form, strlen(found->form));
    return strlen(found->form);
}

static size_t
write_forms(const word_form *forms, size_t count, const char *text, size_t length, char *target)
{
    size_t used = 0;

    for (size_t from = 0; from < length;) {
        size_t word = word_length(text, length, from);

        if (used > 0)
            target[used++] = ' ';
        used += write_form(forms, count, text + from, word, target + used);
        from += word + 1;
    }
    return used;
}

size_t
word_forms_address(const char *text, size_t length, char *target)
{
    return write_forms(address_forms, sizeof address_forms / sizeof address_forms[0], text, length, target);
}

/* Whether the table knows a word, long or short; single letters are too common. */
static bool
is_of_addresses(const char *word, size_t length)
{
    size_t count = sizeof address_forms / sizeof address_forms[0];

    for (size_t i = 0; i < count && length > 1; i++)
        if ((strlen(address_forms[i].word) == length && memcmp(address_forms[i].word, word, length) == 0) ||
            (strlen(address_forms[i].form) == length && memcmp(address_forms[i].form, word, length) == 0))
            return true;
    return false;
}

bool
word_forms_looks_like_address(const char *text, size_t length)
{
    bool digit = false, known = false;

    for (size_t from = 0; from < length;) {
        size_t word = word_length(text, length, from);

        for (size_t i = from; i < from + word; i++)
            digit |= text[i] >= '0' && text[i] <= '9';
        known = known || is_of_addresses(text + from, word);
        from += word + 1;
    }
    return digit && known;
}

static bool
is_legal_form(const char *word, size_t length)
{
    char copy[LONGEST_WORD];
    const char *key = copy;

    if (length == 0 || length >= sizeof copy)
        return false;
    memcpy(copy, word, length);
    copy[length] = '\0';
    return bsearch(&key, legal_forms, sizeof legal_forms / sizeof legal_forms[0], sizeof(char *),
                   compare_names) != NULL;
}

/* Where the legal form that ends a text begins: one word, or letters apart; length where there is none. */
static size_t
legal_form_start(const char *text, size_t length)
{
    size_t from = length;
    char letters[MOST_LETTERS];
    size_t count = 0;

    while (from > 0 && text[from - 1] != ' ')
        from--;
    if (from > 0 && is_legal_form(text + from, length - from))
        return from - 1;
    /* "l l c": from the last letter on backwards, the longest that is one. */
    for (size_t at = length; at >= 2 && count < MOST_LETTERS && text[at - 2] == ' '; at -= 2) {
        letters[MOST_LETTERS - 1 - count++] = text[at - 1];
        if (count > 1 && is_legal_form(letters + MOST_LETTERS - count, count))
            from = at - 2;
        else if (count == 1)
            from = length;
        if (at < 4)
            break;
    }
    return count > 1 && from < length ? from : length;
}

bool
word_forms_legal(const char *text, size_t length)
{
    return legal_form_start(text, length) < length;
}

size_t
word_forms_organization(const char *text, size_t length, char *target)
{
    size_t end = length, start = 0;

    for (size_t shorter; (shorter = legal_form_start(text, end)) < end;)
        end = shorter;
    if (end > 4 && memcmp(text, "the ", 4) == 0)
        start = 4;
    return write_forms(organization_forms, sizeof organization_forms / sizeof organization_forms[0],
                       text + start, end - start, target);
}

size_t
word_forms_phone(const char *digits, size_t length, char *target)
{
    size_t from = length > PHONE_DIGITS ? length - PHONE_DIGITS : 0;

    memmove(target, digits + from, length - from);
    return length - from;
}

/* What an address is written in, on either side of its "@"; letters beyond ASCII among them. */
static bool
is_of_email(char c, bool domain)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
        (unsigned char)c >= 0x80)
        return true;
    return strchr(domain ? ".-" : ".-_+%&'", c) != NULL && c != '\0';
}

static size_t
write_lower(const char *text, size_t length, char *target)
{
    for (size_t i = 0; i < length; i++)
        target[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + ('a' - 'A')) : text[i];
    return length;
}

#define LONGEST_LOCAL 64 /* bytes of what stands before the "@" (RFC 5321, 4.5.3.1.1) */

/*
 * Where a local part in quotes that begins at a place ends (RFC 5321, 4.1.2: "john doe"@x.org), behind its
 * second quote; 0 where there is none before an "@". *plain: whether it would be the same without its quotes.
 */
static size_t
quoted_local_end(const char *text, size_t length, size_t from, bool *plain)
{
    size_t at = from + 1;

    *plain = true;
    for (; at < length && at - from < LONGEST_LOCAL && text[at] != '"'; at++) {
        if (text[at] == '\\' && at + 1 < length)
            at++;
        if ((unsigned char)text[at] < ' ' || text[at] == 0x7F)
            return 0;
        *plain = *plain && text[at - 1] != '\\' && is_of_email(text[at], false) &&
                 (text[at] != '.' || text[at - 1] != '.');
    }
    if (at + 2 >= length || text[at] != '"' || text[at + 1] != '@' || at == from + 1)
        return 0;
    *plain = *plain && text[from + 1] != '.' && text[from + 1] != '\'' && text[at - 1] != '.';
    return at + 1;
}

static size_t
domain_end(const char *text, size_t length, size_t from)
{
    size_t to = from;

    while (to < length && is_of_email(text[to], true))
        to++;
    while (to > from && (text[to - 1] == '.' || text[to - 1] == '-'))
        to--;
    return to;
}

bool
word_forms_email_next(const char *text, size_t length, size_t *place, char *target, size_t *written)
{
    for (size_t at = *place; at < length; at++) {
        size_t from = at, to;

        if (text[at] == '"') {
            bool plain;
            size_t sign = quoted_local_end(text, length, at, &plain);

            if (sign == 0 || (to = domain_end(text, length, sign + 1)) == sign + 1)
                continue;
            if (plain) {
                *written = write_lower(text + at + 1, sign - at - 2, target);
                *written += write_lower(text + sign, to - sign, target + *written);
            } else
                *written = write_lower(text + at, to - at, target);
            *place = to;
            return true;
        }
        if (text[at] != '@')
            continue;
        while (from > *place && is_of_email(text[from - 1], false))
            from--;
        to = domain_end(text, length, at + 1);
        while (from < at && (text[from] == '.' || text[from] == '\''))
            from++;
        if (from < at && to > at + 1) {
            *written = write_lower(text + from, to - from, target);
            *place = to;
            return true;
        }
    }
    return false;
}

size_t
word_forms_email(const char *text, size_t length, char *target)
{
    size_t place = 0, written;

    return word_forms_email_next(text, length, &place, target, &written) ? written
                                                                         : write_lower(text, length, target);
}

static const char *const roles[] = {
    /* in order; without - _ . */
    "abuse",      "accounting",  "accounts",     "admin",        "administrator",   "billing",
    "booking",    "bookings",    "buchhaltung",  "bureau",       "buero",           "careers",
    "contact",    "contacto",    "contato",      "customercare", "customerservice", "director",
    "donotreply", "email",       "enquiries",    "enquiry",      "feedback",        "finance",
    "frontdesk",  "general",     "hello",        "help",         "helpdesk",        "hostmaster",
    "hr",         "info",        "information",  "inquiries",    "inquiry",         "jobs",
    "kontakt",    "legal",       "mail",         "mailbox",      "marketing",       "media",
    "newsletter", "noc",         "noreply",      "office",       "order",           "orders",
    "payroll",    "post",        "postmaster",   "press",        "privacy",         "recepcion",
    "reception",  "registrar",   "reservations", "sales",        "secretaria",      "secretary",
    "security",   "sekretariat", "service",      "shop",         "staff",           "support",
    "team",       "vendas",      "ventas",       "verkauf",      "vertrieb",        "webmaster",
};

static int
compare_role(const void *name, const void *role)
{
    return strcmp(name, *(const char *const *)role);
}

bool
word_forms_is_role_mailbox(const char *email, size_t length)
{
    char name[20]; /* longer than any of these */
    size_t used = 0;

    if (memchr(email, '@', length) == NULL)
        return false;
    for (const char *at = email; *at != '@' && *at != '+'; at++)
        if (*at != '-' && *at != '_' && *at != '.') {
            if (used == sizeof name - 1)
                return false;
            name[used++] = *at;
        }
    name[used] = '\0';
    return bsearch(name, roles, sizeof roles / sizeof roles[0], sizeof roles[0], compare_role) != NULL;
}
