/*
 * phonetic_metaphone.c: Double Metaphone (Philips, "The double metaphone search algorithm", C/C++ Users
 * Journal, June 2000).
 *
 * A letter is read with its neighbours, gives sounds to the primary key and, where a name may be said in
 * another way, others to the alternate one, and says how many letters it has used up. In the keys, X is
 * "sh", 0 is "th", A is any vowel, which is kept at the start alone.
 */
#include <string.h>

#include "kernel/phonetic.h"

typedef struct metaphone {
    /* Upper-case letters and single spaces; beyond either end at() answers. */
    char letters[DOUBLE_METAPHONE_LETTERS];
    int length;
    int last;
    bool slavo_germanic;
    uint32_t most;
    uint32_t primary_length, alternate_length;
    char *primary, *alternate;
} metaphone;

static inline char
at(const metaphone *m, int i)
{
    if (i < 0)
        return '\0';
    return i < m->length ? m->letters[i] : ' ';
}

static inline bool
vowel_at(const metaphone *m, int i)
{
    char c = at(m, i);

    return c == 'A' || c == 'E' || c == 'I' || c == 'O' || c == 'U' || c == 'Y';
}

/* Whether one of the alternatives, which bars separate, stands at i. */
static bool
match(const metaphone *m, int i, const char *alternatives)
{
    const char *p = alternatives;

    if (i < 0)
        return false;
    for (;;) {
        int k = 0;

        while (p[k] != '\0' && p[k] != '|' && at(m, i + k) == p[k])
            k++;
        if (p[k] == '\0' || p[k] == '|')
            return true;
        while (p[k] != '\0' && p[k] != '|')
            k++;
        if (p[k] == '\0')
            return false;
        p += k + 1;
    }
}

/* Whether the letter at i is one of these. */
static inline bool
one_of(const metaphone *m, int i, const char *letters)
{
    char c = at(m, i);

    return c != '\0' && strchr(letters, c) != NULL;
}

static void
append(char *key, uint32_t *length, uint32_t most, const char *sounds)
{
    while (*sounds != '\0' && *length < most)
        key[(*length)++] = *sounds++;
}

static void
add_both(metaphone *m, const char *primary, const char *alternate)
{
    append(m->primary, &m->primary_length, m->most, primary);
    append(m->alternate, &m->alternate_length, m->most, alternate);
}

static void
add(metaphone *m, const char *sounds)
{
    add_both(m, sounds, sounds);
}

/* Adds a sound; the letter written double is used up as one. */
static int
plain(metaphone *m, int i, const char *sound)
{
    add(m, sound);
    return at(m, i + 1) == at(m, i) ? 2 : 1;
}

/* "van der Berg", "Schmidt": said the German or Dutch way. */
static bool
germanic_name(const metaphone *m)
{
    return match(m, 0, "VAN |VON |SCH");
}

static int
letter_ch(metaphone *m, int i)
{
    if (i > 0 && match(m, i, "CHAE")) {
        add_both(m, "K", "X"); /* michael */
    } else if (i == 0 && match(m, 1, "HARAC|HARIS|HOR|HYM|HIA|HEM") && !match(m, 0, "CHORE")) {
        add(m, "K"); /* chemistry, chorus */
    } else if (germanic_name(m) || match(m, i - 2, "ORCHES|ARCHIT|ORCHID") || one_of(m, i + 2, "TS") ||
               ((i == 0 || one_of(m, i - 1, "AOUE")) && one_of(m, i + 2, "LRNMBHFVW "))) {
        add(m, "K"); /* wachtler, bach */
    } else if (i == 0) {
        add(m, "X");
    } else if (match(m, 0, "MC")) {
        add(m, "K"); /* mchugh */
    } else {
        add_both(m, "X", "K");
    }
    return 2;
}

static int
letter_c(metaphone *m, int i)
{
    if (i > 1 && !vowel_at(m, i - 2) && match(m, i - 1, "ACH") && at(m, i + 2) != 'I' &&
        (at(m, i + 2) != 'E' || match(m, i - 2, "BACHER|MACHER"))) {
        add(m, "K");
        return 2;
    }
    if (i == 0 && match(m, 0, "CAESAR")) {
        add(m, "S");
        return 2;
    }
    if (match(m, i, "CHIA")) {
        add(m, "K"); /* chianti */
        return 2;
    }
    if (match(m, i, "CH"))
        return letter_ch(m, i);
    if (match(m, i, "CZ") && !match(m, i - 2, "WICZ")) {
        add_both(m, "S", "X"); /* czerny */
        return 2;
    }
    if (match(m, i + 1, "CIA")) {
        add(m, "X"); /* focaccia */
        return 3;
    }
    if (match(m, i, "CC") && !(i == 1 && at(m, 0) == 'M')) {
        if (!one_of(m, i + 2, "IEH") || match(m, i + 2, "HU")) {
            add(m, "K"); /* bacchus */
            return 2;
        }
        if ((i == 1 && at(m, 0) == 'A') || match(m, i - 1, "UCCEE|UCCES"))
            add(m, "KS"); /* accident, succeed */
        else
            add(m, "X"); /* bertucci */
        return 3;
    }
    if (match(m, i, "CK|CG|CQ")) {
        add(m, "K");
        return 2;
    }
    if (match(m, i, "CI|CE|CY")) {
        if (match(m, i, "CIO|CIE|CIA"))
            add_both(m, "S", "X");
        else
            add(m, "S");
        return 2;
    }
    add(m, "K");
    if (match(m, i + 1, " C| Q| G"))
        return 3; /* mac caffrey */
    return one_of(m, i + 1, "CKQ") && !match(m, i + 1, "CE|CI") ? 2 : 1;
}

static int
letter_d(metaphone *m, int i)
{
    if (match(m, i, "DG")) {
        bool soft = one_of(m, i + 2, "IEY");

        add(m, soft ? "J" : "TK"); /* edge, edgar */
        return soft ? 3 : 2;
    }
    add(m, "T");
    return match(m, i, "DT|DD") ? 2 : 1;
}

static int
letter_gh(metaphone *m, int i)
{
    if (i > 0 && !vowel_at(m, i - 1)) {
        add(m, "K");
    } else if (i == 0) {
        add(m, at(m, 2) == 'I' ? "J" : "K"); /* ghiradelli, ghost */
    } else if (one_of(m, i - 2, "BHD") || one_of(m, i - 3, "BHD") || one_of(m, i - 4, "BH")) {
        return 2; /* Parker's rule: hugh, bough, broughton */
    } else if (i > 2 && at(m, i - 1) == 'U' && one_of(m, i - 3, "CGLRT")) {
        add(m, "F"); /* laugh, tough */
    } else if (at(m, i - 1) != 'I') {
        add(m, "K");
    }
    return 2;
}

static int
letter_g(metaphone *m, int i)
{
    char next = at(m, i + 1);

    if (next == 'H')
        return letter_gh(m, i);
    if (next == 'N') {
        if (i == 1 && vowel_at(m, 0) && !m->slavo_germanic)
            add_both(m, "KN", "N");
        else if (!match(m, i + 2, "EY") && !m->slavo_germanic)
            add_both(m, "N", "KN");
        else
            add(m, "KN"); /* cagney */
        return 2;
    }
    if (match(m, i + 1, "LI") && !m->slavo_germanic) {
        add_both(m, "KL", "L"); /* tagliaro */
        return 2;
    }
    if (i == 0 && (next == 'Y' || match(m, 1, "ES|EP|EB|EL|EY|IB|IL|IN|IE|EI|ER"))) {
        add_both(m, "K", "J");
        return 2;
    }
    if ((match(m, i + 1, "ER") || next == 'Y') && !match(m, 0, "DANGER|RANGER|MANGER") &&
        !one_of(m, i - 1, "EI") && !match(m, i - 1, "RGY|OGY")) {
        add_both(m, "K", "J");
        return 2;
    }
    if (one_of(m, i + 1, "EIY") || match(m, i - 1, "AGGI|OGGI")) {
        if (germanic_name(m) || match(m, i + 1, "ET"))
            add(m, "K");
        else if (match(m, i + 1, "IER "))
            add(m, "J"); /* a French ending */
        else
            add_both(m, "J", "K");
        return 2;
    }
    return plain(m, i, "K");
}

static int
letter_j(metaphone *m, int i)
{
    bool san = match(m, 0, "SAN ");

    if (match(m, i, "JOSE") || san) {
        if ((i == 0 && at(m, 4) == ' ') || san)
            add(m, "H"); /* jose, san jacinto */
        else
            add_both(m, "J", "H");
        return 1;
    }
    if (i == 0)
        add_both(m, "J", "A"); /* jankelowicz is yankelovich */
    else if (vowel_at(m, i - 1) && !m->slavo_germanic && one_of(m, i + 1, "AO"))
        add_both(m, "J", "H"); /* bajador */
    else if (i == m->last)
        add_both(m, "J", "");
    else if (!one_of(m, i + 1, "LTKSNMBZ") && !one_of(m, i - 1, "SKL"))
        add(m, "J");
    return at(m, i + 1) == 'J' ? 2 : 1;
}

static int
letter_l(metaphone *m, int i)
{
    bool spanish_end = i == m->length - 3 && match(m, i - 1, "ILLO|ILLA|ALLE");
    bool spanish_alle =
        (match(m, m->last - 1, "AS|OS") || one_of(m, m->last, "AO")) && match(m, i - 1, "ALLE");

    if (at(m, i + 1) == 'L' && (spanish_end || spanish_alle)) {
        add_both(m, "L", ""); /* cabrillo, gallegos */
        return 2;
    }
    return plain(m, i, "L");
}

static int
letter_m(metaphone *m, int i)
{
    bool silent_b = match(m, i - 1, "UMB") && (i + 1 == m->last || match(m, i + 2, "ER")); /* dumb, thumb */

    add(m, "M");
    return silent_b || at(m, i + 1) == 'M' ? 2 : 1;
}

static int
letter_p(metaphone *m, int i)
{
    if (at(m, i + 1) == 'H') {
        add(m, "F");
        return 2;
    }
    add(m, "P");
    return one_of(m, i + 1, "PB") ? 2 : 1; /* campbell */
}

static int
letter_r(metaphone *m, int i)
{
    if (i == m->last && !m->slavo_germanic && match(m, i - 2, "IE") && !match(m, i - 4, "ME|MA"))
        add_both(m, "", "R"); /* rogier, but not hochmeier */
    else
        add(m, "R");
    return at(m, i + 1) == 'R' ? 2 : 1;
}

static int
letter_sc(metaphone *m, int i)
{
    if (at(m, i + 2) == 'H') {
        if (match(m, i + 3, "ER|EN"))
            add_both(m, "X", "SK"); /* schenker */
        else if (match(m, i + 3, "OO|UY|ED|EM"))
            add(m, "SK"); /* school */
        else if (i == 0 && !vowel_at(m, 3) && at(m, 3) != 'W')
            add_both(m, "X", "S");
        else
            add(m, "X");
    } else if (one_of(m, i + 2, "IEY")) {
        add(m, "S");
    } else {
        add(m, "SK");
    }
    return 3;
}

static int
letter_s(metaphone *m, int i)
{
    if (match(m, i - 1, "ISL|YSL"))
        return 1; /* island, carlysle */
    if (i == 0 && match(m, 0, "SUGAR")) {
        add_both(m, "X", "S");
        return 1;
    }
    if (match(m, i, "SH")) {
        add(m, match(m, i + 1, "HEIM|HOEK|HOLM|HOLZ") ? "S" : "X");
        return 2;
    }
    if (match(m, i, "SIO|SIA")) {
        add_both(m, "S", m->slavo_germanic ? "S" : "X");
        return 3;
    }
    if ((i == 0 && one_of(m, 1, "MNLW")) || at(m, i + 1) == 'Z') {
        add_both(m, "S", "X"); /* smith is schmidt, snider is schneider */
        return at(m, i + 1) == 'Z' ? 2 : 1;
    }
    if (match(m, i, "SC"))
        return letter_sc(m, i);
    add_both(m, i == m->last && match(m, i - 2, "AI|OI") ? "" : "S", "S"); /* resnais, artois */
    return one_of(m, i + 1, "SZ") ? 2 : 1;
}

static int
letter_t(metaphone *m, int i)
{
    if (match(m, i, "TION|TIA|TCH")) {
        add(m, "X");
        return 3;
    }
    if (match(m, i, "TH|TTH")) {
        if (match(m, i + 2, "OM|AM") || germanic_name(m))
            add(m, "T"); /* thomas */
        else
            add_both(m, "0", "T");
        return 2;
    }
    add(m, "T");
    return one_of(m, i + 1, "TD") ? 2 : 1;
}

static int
letter_w(metaphone *m, int i)
{
    if (match(m, i, "WR")) {
        add(m, "R");
        return 2;
    }
    if (i == 0 && vowel_at(m, 1))
        add_both(m, "A", "F"); /* wasserman is vasserman */
    else if (i == 0 && at(m, 1) == 'H')
        add(m, "A");
    if ((i == m->last && vowel_at(m, i - 1)) || match(m, i - 1, "EWSKI|EWSKY|OWSKI|OWSKY") ||
        match(m, 0, "SCH")) {
        add_both(m, "", "F"); /* arnow is arnoff */
        return 1;
    }
    if (match(m, i, "WICZ|WITZ")) {
        add_both(m, "TS", "FX"); /* filipowicz */
        return 4;
    }
    return 1;
}

static int
letter_x(metaphone *m, int i)
{
    if (!(i == m->last && (match(m, i - 3, "IAU|EAU") || match(m, i - 2, "AU|OU"))))
        add(m, "KS"); /* but breaux */
    return one_of(m, i + 1, "CX") ? 2 : 1;
}

static int
letter_z(metaphone *m, int i)
{
    if (at(m, i + 1) == 'H') {
        add(m, "J"); /* zhao */
        return 2;
    }
    if (match(m, i + 1, "ZO|ZI|ZA") || (m->slavo_germanic && i > 0 && at(m, i - 1) != 'T'))
        add_both(m, "S", "TS");
    else
        add(m, "S");
    return at(m, i + 1) == 'Z' ? 2 : 1;
}

/* One letter, and how many it uses up. */
static int
letter_at(metaphone *m, int i)
{
    switch (at(m, i)) {
    case 'A':
    case 'E':
    case 'I':
    case 'O':
    case 'U':
    case 'Y':
        if (i == 0)
            add(m, "A");
        return 1;
    case 'B':
        return plain(m, i, "P");
    case 'C':
        return letter_c(m, i);
    case 'D':
        return letter_d(m, i);
    case 'F':
        return plain(m, i, "F");
    case 'G':
        return letter_g(m, i);
    case 'H':
        if ((i > 0 && !vowel_at(m, i - 1)) || !vowel_at(m, i + 1))
            return 1;
        add(m, "H");
        return 2;
    case 'J':
        return letter_j(m, i);
    case 'K':
        return plain(m, i, "K");
    case 'L':
        return letter_l(m, i);
    case 'M':
        return letter_m(m, i);
    case 'N':
        return plain(m, i, "N");
    case 'P':
        return letter_p(m, i);
    case 'Q':
        return plain(m, i, "K");
    case 'R':
        return letter_r(m, i);
    case 'S':
        return letter_s(m, i);
    case 'T':
        return letter_t(m, i);
    case 'V':
        return plain(m, i, "F");
    case 'W':
        return letter_w(m, i);
    case 'X':
        return letter_x(m, i);
    case 'Z':
        return letter_z(m, i);
    default:
        return 1;
    }
}

/* Letters in upper case; whatever stands between two of them, but an apostrophe, is one space. */
static void
read_letters(metaphone *m, text_view word)
{
    bool space = false;

    m->length = 0;
    for (uint32_t i = 0; i < word.length && m->length < DOUBLE_METAPHONE_LETTERS - 1; i++) {
        uint32_t c = text_view_at(word, i);

        if (c >= 'a' && c <= 'z')
            c = c - 'a' + 'A';
        if (c < 'A' || c > 'Z') {
            space |= c != '\'' && m->length > 0;
            continue;
        }
        if (space)
            m->letters[m->length++] = ' ';
        space = false;
        m->letters[m->length++] = (char)c;
    }
    m->last = m->length - 1;
    m->slavo_germanic = false;
    for (int i = 0; i < m->length; i++)
        m->slavo_germanic |= m->letters[i] == 'W' || m->letters[i] == 'K' || match(m, i, "CZ");
}

void
double_metaphone_keys(text_view word, uint32_t max_length, char primary[DOUBLE_METAPHONE_MAX + 1],
                      char alternate[DOUBLE_METAPHONE_MAX + 1])
{
    metaphone m;
    int i = 0;

    read_letters(&m, word);
    m.most = max_length < DOUBLE_METAPHONE_MAX ? max_length : DOUBLE_METAPHONE_MAX;
    m.primary_length = m.alternate_length = 0;
    m.primary = primary;
    m.alternate = alternate;

    /* The first of these is silent. */
    if (match(&m, 0, "GN|KN|PN|WR|PS"))
        i = 1;
    if (at(&m, 0) == 'X') {
        add(&m, "S"); /* xavier */
        i = 1;
    }
    while (i < m.length && (m.primary_length < m.most || m.alternate_length < m.most))
        i += letter_at(&m, i);
    primary[m.primary_length] = '\0';
    alternate[m.alternate_length] = '\0';
}
