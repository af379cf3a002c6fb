/*
 * phonetic_daitch.c: Daitch-Mokotoff Soundex (Mokotoff & Daitch 1985), for the names of eastern Europe.
 *
 * The longest sequence of letters that the table knows gives digits that depend on where it stands: at the
 * start, before a vowel, or elsewhere. Some sequences may be said in two ways; each way is followed, so
 * that a name has up to DAITCH_MOKOTOFF_KEYS keys.
 */
#include <string.h>

#include "kernel/phonetic.h"

/* Digits at the start, before a vowel, elsewhere; and the same in the other way of saying it, if any. */
typedef struct daitch_rule {
    const char *letters;
    const char *digits[3];
    const char *other[3];
} daitch_rule;

#define EVERYWHERE(d)                                                                                        \
    {                                                                                                        \
        d, d, d                                                                                              \
    }
#define ONE_WAY EVERYWHERE(NULL)
#define VOWEL_PAIR                                                                                           \
    {                                                                                                        \
        "0", "1", ""                                                                                         \
    }

/* By first letter, and longer sequences before what they begin with. */
static const daitch_rule rules[] = {
    {"AI", VOWEL_PAIR, ONE_WAY},
    {"AJ", VOWEL_PAIR, ONE_WAY},
    {"AY", VOWEL_PAIR, ONE_WAY},
    {"AU", {"0", "7", ""}, ONE_WAY},
    {"A", {"0", "", ""}, ONE_WAY},
    {"B", EVERYWHERE("7"), ONE_WAY},
    {"CHS", {"5", "54", "54"}, ONE_WAY},
    {"CSZ", EVERYWHERE("4"), ONE_WAY},
    {"CZS", EVERYWHERE("4"), ONE_WAY},
    {"CH", EVERYWHERE("5"), EVERYWHERE("4")},
    {"CK", EVERYWHERE("5"), EVERYWHERE("45")},
    {"CZ", EVERYWHERE("4"), ONE_WAY},
    {"CS", EVERYWHERE("4"), ONE_WAY},
    {"C", EVERYWHERE("5"), EVERYWHERE("4")},
    {"DRZ", EVERYWHERE("4"), ONE_WAY},
    {"DRS", EVERYWHERE("4"), ONE_WAY},
    {"DSH", EVERYWHERE("4"), ONE_WAY},
    {"DSZ", EVERYWHERE("4"), ONE_WAY},
    {"DZH", EVERYWHERE("4"), ONE_WAY},
    {"DZS", EVERYWHERE("4"), ONE_WAY},
    {"DS", EVERYWHERE("4"), ONE_WAY},
    {"DZ", EVERYWHERE("4"), ONE_WAY},
    {"DT", EVERYWHERE("3"), ONE_WAY},
    {"D", EVERYWHERE("3"), ONE_WAY},
    {"EI", VOWEL_PAIR, ONE_WAY},
    {"EJ", VOWEL_PAIR, ONE_WAY},
    {"EY", VOWEL_PAIR, ONE_WAY},
    {"EU", {"1", "1", ""}, ONE_WAY},
    {"E", {"0", "", ""}, ONE_WAY},
    {"FB", EVERYWHERE("7"), ONE_WAY},
    {"F", EVERYWHERE("7"), ONE_WAY},
    {"G", EVERYWHERE("5"), ONE_WAY},
    {"H", {"5", "5", ""}, ONE_WAY},
    {"IA", {"1", "", ""}, ONE_WAY},
    {"IE", {"1", "", ""}, ONE_WAY},
    {"IO", {"1", "", ""}, ONE_WAY},
    {"IU", {"1", "", ""}, ONE_WAY},
    {"I", {"0", "", ""}, ONE_WAY},
    {"J", {"1", "", ""}, EVERYWHERE("4")},
    {"KS", {"5", "54", "54"}, ONE_WAY},
    {"KH", EVERYWHERE("5"), ONE_WAY},
    {"K", EVERYWHERE("5"), ONE_WAY},
    {"L", EVERYWHERE("8"), ONE_WAY},
    {"MN", EVERYWHERE("66"), ONE_WAY},
    {"M", EVERYWHERE("6"), ONE_WAY},
    {"NM", EVERYWHERE("66"), ONE_WAY},
    {"N", EVERYWHERE("6"), ONE_WAY},
    {"OI", VOWEL_PAIR, ONE_WAY},
    {"OJ", VOWEL_PAIR, ONE_WAY},
    {"OY", VOWEL_PAIR, ONE_WAY},
    {"O", {"0", "", ""}, ONE_WAY},
    {"PF", EVERYWHERE("7"), ONE_WAY},
    {"PH", EVERYWHERE("7"), ONE_WAY},
    {"P", EVERYWHERE("7"), ONE_WAY},
    {"Q", EVERYWHERE("5"), ONE_WAY},
    {"RZ", EVERYWHERE("94"), EVERYWHERE("4")},
    {"RS", EVERYWHERE("94"), EVERYWHERE("4")},
    {"R", EVERYWHERE("9"), ONE_WAY},
    {"SCHTSCH", {"2", "4", "4"}, ONE_WAY},
    {"SCHTSH", {"2", "4", "4"}, ONE_WAY},
    {"SCHTCH", {"2", "4", "4"}, ONE_WAY},
    {"SHTCH", {"2", "4", "4"}, ONE_WAY},
    {"SHTSH", {"2", "4", "4"}, ONE_WAY},
    {"STSCH", {"2", "4", "4"}, ONE_WAY},
    {"SCHT", {"2", "43", "43"}, ONE_WAY},
    {"SCHD", {"2", "43", "43"}, ONE_WAY},
    {"SHCH", {"2", "4", "4"}, ONE_WAY},
    {"STCH", {"2", "4", "4"}, ONE_WAY},
    {"STRZ", {"2", "4", "4"}, ONE_WAY},
    {"STRS", {"2", "4", "4"}, ONE_WAY},
    {"STSH", {"2", "4", "4"}, ONE_WAY},
    {"SZCZ", {"2", "4", "4"}, ONE_WAY},
    {"SZCS", {"2", "4", "4"}, ONE_WAY},
    {"SCH", EVERYWHERE("4"), ONE_WAY},
    {"SHT", {"2", "43", "43"}, ONE_WAY},
    {"SHD", {"2", "43", "43"}, ONE_WAY},
    {"SZT", {"2", "43", "43"}, ONE_WAY},
    {"SZD", {"2", "43", "43"}, ONE_WAY},
    {"SH", EVERYWHERE("4"), ONE_WAY},
    {"SC", {"2", "4", "4"}, ONE_WAY},
    {"ST", {"2", "43", "43"}, ONE_WAY},
    {"SD", {"2", "43", "43"}, ONE_WAY},
    {"SZ", EVERYWHERE("4"), ONE_WAY},
    {"S", EVERYWHERE("4"), ONE_WAY},
    {"TTSCH", EVERYWHERE("4"), ONE_WAY},
    {"TTCH", EVERYWHERE("4"), ONE_WAY},
    {"TSCH", EVERYWHERE("4"), ONE_WAY},
    {"TTSZ", EVERYWHERE("4"), ONE_WAY},
    {"TCH", EVERYWHERE("4"), ONE_WAY},
    {"TRZ", EVERYWHERE("4"), ONE_WAY},
    {"TRS", EVERYWHERE("4"), ONE_WAY},
    {"TSH", EVERYWHERE("4"), ONE_WAY},
    {"TTS", EVERYWHERE("4"), ONE_WAY},
    {"TTZ", EVERYWHERE("4"), ONE_WAY},
    {"TZS", EVERYWHERE("4"), ONE_WAY},
    {"TSZ", EVERYWHERE("4"), ONE_WAY},
    {"TH", EVERYWHERE("3"), ONE_WAY},
    {"TS", EVERYWHERE("4"), ONE_WAY},
    {"TC", EVERYWHERE("4"), ONE_WAY},
    {"TZ", EVERYWHERE("4"), ONE_WAY},
    {"T", EVERYWHERE("3"), ONE_WAY},
    {"UI", VOWEL_PAIR, ONE_WAY},
    {"UJ", VOWEL_PAIR, ONE_WAY},
    {"UY", VOWEL_PAIR, ONE_WAY},
    {"UE", VOWEL_PAIR, ONE_WAY},
    {"U", {"0", "", ""}, ONE_WAY},
    {"V", EVERYWHERE("7"), ONE_WAY},
    {"W", EVERYWHERE("7"), ONE_WAY},
    {"X", {"5", "54", "54"}, ONE_WAY},
    {"Y", {"1", "", ""}, ONE_WAY},
    {"ZHDZH", {"2", "4", "4"}, ONE_WAY},
    {"ZDZH", {"2", "4", "4"}, ONE_WAY},
    {"ZSCH", EVERYWHERE("4"), ONE_WAY},
    {"ZDZ", {"2", "4", "4"}, ONE_WAY},
    {"ZHD", {"2", "43", "43"}, ONE_WAY},
    {"ZSH", EVERYWHERE("4"), ONE_WAY},
    {"ZD", {"2", "43", "43"}, ONE_WAY},
    {"ZH", EVERYWHERE("4"), ONE_WAY},
    {"ZS", EVERYWHERE("4"), ONE_WAY},
    {"Z", EVERYWHERE("4"), ONE_WAY},
};

/* One way of saying the name so far. */
typedef struct daitch_branch {
    char key[DAITCH_MOKOTOFF_LENGTH + 1];
    uint32_t length;
    const char *last; /* the digits of the last sequence: what repeats them counts once */
} daitch_branch;

static void
append_digits(daitch_branch *branch, const char *digits, bool always)
{
    size_t count = strlen(digits), before = strlen(branch->last);
    bool repeats = count <= before && strcmp(branch->last + before - count, digits) == 0;

    branch->last = digits;
    if (repeats && !always)
        return;
    while (*digits != '\0' && branch->length < DAITCH_MOKOTOFF_LENGTH)
        branch->key[branch->length++] = *digits++;
}

static bool
branches_equal(const daitch_branch *a, const daitch_branch *b)
{
    return a->length == b->length && memcmp(a->key, b->key, a->length) == 0 && strcmp(a->last, b->last) == 0;
}

/* Adds a branch unless it is there already or there is no room. */
static void
keep_branch(daitch_branch *branches, uint32_t *count, const daitch_branch *added)
{
    for (uint32_t i = 0; i < *count; i++)
        if (branches_equal(&branches[i], added))
            return;
    if (*count < DAITCH_MOKOTOFF_KEYS)
        branches[(*count)++] = *added;
}

static const daitch_rule *
rule_at(const char *letters)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (strncmp(letters, rules[i].letters, strlen(rules[i].letters)) == 0)
            return &rules[i];
    return NULL;
}

/* The letters of a word in upper case, as many as can matter. */
static void
read_letters(text_view word, char *letters, uint32_t capacity)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < word.length && count + 1 < capacity; i++) {
        uint32_t c = text_view_at(word, i);

        if (c >= 'a' && c <= 'z')
            letters[count++] = (char)(c - 'a' + 'A');
        else if (c >= 'A' && c <= 'Z')
            letters[count++] = (char)c;
    }
    letters[count] = '\0';
}

uint32_t
daitch_mokotoff_keys(text_view word, char keys[DAITCH_MOKOTOFF_KEYS][DAITCH_MOKOTOFF_LENGTH + 1])
{
    daitch_branch branches[DAITCH_MOKOTOFF_KEYS], next[DAITCH_MOKOTOFF_KEYS];
    char letters[DAITCH_MOKOTOFF_LETTERS + 1];
    uint32_t count = 1, unique = 0;
    const char *at = letters;
    char before = '\0';

    read_letters(word, letters, sizeof letters);
    if (letters[0] == '\0')
        return 0;
    branches[0].length = 0;
    branches[0].last = "";
    while (*at != '\0') {
        const daitch_rule *rule = rule_at(at);
        const char *after = at + strlen(rule->letters);
        bool vowel = *after != '\0' && strchr("AEIOU", *after) != NULL;
        int place = at == letters ? 0 : vowel ? 1 : 2;
        bool always = (before == 'M' && *at == 'N') || (before == 'N' && *at == 'M');
        uint32_t kept = 0;

        for (uint32_t i = 0; i < count; i++) {
            for (int way = 0; way < 2; way++) {
                const char *digits = way == 0 ? rule->digits[place] : rule->other[place];
                daitch_branch branch = branches[i];

                if (digits == NULL)
                    continue;
                append_digits(&branch, digits, always);
                keep_branch(next, &kept, &branch);
            }
        }
        memcpy(branches, next, sizeof(daitch_branch) * kept);
        count = kept;
        before = after[-1];
        at = after;
    }
    for (uint32_t i = 0; i < count; i++) {
        bool known = false;

        memset(branches[i].key + branches[i].length, '0', DAITCH_MOKOTOFF_LENGTH - branches[i].length);
        branches[i].key[DAITCH_MOKOTOFF_LENGTH] = '\0';
        for (uint32_t k = 0; k < unique; k++)
            known |= strcmp(keys[k], branches[i].key) == 0;
        if (!known)
            memcpy(keys[unique++], branches[i].key, DAITCH_MOKOTOFF_LENGTH + 1);
    }
    return unique;
}
