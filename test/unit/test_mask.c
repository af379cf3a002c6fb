/*
 * test_mask.c: HMAC against RFC 4231, masks that are permutations, that keep the form, and that hang on the
 * key.
 */
#include "kernel/mask.h"
#include "unit.h"

static mask_key
key_of(const char *text)
{
    mask_key key;

    mask_key_set(&key, text, strlen(text));
    return key;
}

static void
masked(const mask_key *key, const char *text, bool letters, char *result)
{
    uint32_t points[200];
    mask_place places[200];
    size_t length = strlen(text);

    for (size_t i = 0; i < length; i++)
        points[i] = (uint8_t)text[i];
    mask_format(key, points, length, letters, false, places);
    for (size_t i = 0; i < length; i++)
        result[i] = (char)points[i];
    result[length] = '\0';
}

/* Test case 6 of RFC 4231: a key of more than a block. What the kernel puts before a value is part of the
 * data here. */
static bool
is_hmac(void)
{
    uint8_t long_key[131], digest[SHA256_BYTES], inner[SHA256_BYTES], block[64] = {0};
    sha256_state state;
    mask_key key;

    memset(long_key, 0xaa, sizeof long_key);
    mask_key_set(&key, long_key, sizeof long_key);
    mask_digest(&key, "Test", 4, digest);
    /* The definition, written out. */
    sha256_start(&state);
    sha256_add(&state, long_key, sizeof long_key);
    sha256_finish(&state, block);
    for (int i = 0; i < 64; i++)
        block[i] ^= 0x36;
    sha256_start(&state);
    sha256_add(&state, block, sizeof block);
    sha256_add(&state, "valueTest", 9);
    sha256_finish(&state, inner);
    for (int i = 0; i < 64; i++)
        block[i] ^= 0x36 ^ 0x5c;
    sha256_start(&state);
    sha256_add(&state, block, sizeof block);
    sha256_add(&state, inner, sizeof inner);
    sha256_finish(&state, inner);
    return memcmp(inner, digest, sizeof inner) == 0;
}

static bool
texts_are_permuted(const mask_key *key)
{
    static bool seen[26 * 10 * 26];

    memset(seen, 0, sizeof seen);
    for (int i = 0; i < 26 * 10 * 26; i++) {
        char text[8] = {(char)('A' + i % 26), '-', (char)('0' + i / 26 % 10), (char)('a' + i / 260), '\0'},
             result[8];
        int place;

        masked(key, text, true, result);
        if (result[0] < 'A' || result[0] > 'Z' || result[1] != '-' || result[2] < '0' || result[2] > '9' ||
            result[3] < 'a' || result[3] > 'z')
            return false;
        place = (result[0] - 'A') + 26 * (result[2] - '0') + 260 * (result[3] - 'a');
        if (seen[place])
            return false;
        seen[place] = true;
    }
    return true;
}

static bool
numbers_are_permuted(const mask_key *key)
{
    static bool seen[32768];

    memset(seen, 0, sizeof seen);
    for (uint64_t i = 0; i <= 32767; i++) {
        uint64_t result = mask_number(key, i, 32767);
        int digits = 0, wanted = 0;

        for (uint64_t rest = result; rest > 0; rest /= 10)
            digits++;
        for (uint64_t rest = i; rest > 0; rest /= 10)
            wanted++;
        if (result > 32767 || seen[result] || (digits != wanted && i >= 10))
            return false;
        seen[result] = true;
    }
    return true;
}

static bool
days_are_permuted(const mask_key *key, uint32_t days)
{
    bool seen[366] = {false};

    for (uint32_t day = 0; day < days; day++) {
        uint32_t result = mask_day(key, 1999, day, days);

        if (result >= days || seen[result])
            return false;
        seen[result] = true;
    }
    return true;
}

int
main(void)
{
    mask_key key = key_of("0123456789abcdef"), other = key_of("0123456789abcdeg");
    char a[200], b[200], c[200];
    uint32_t unknown[3] = {0x2d4e, 0x0301, 0x1f600}, greek[2] = {0x3b1, 0x391};
    mask_place places[3];

    unit_ok(is_hmac(), "a digest is the HMAC of its value");
    unit_ok(texts_are_permuted(&key), "texts of one form are permuted, and keep it");
    unit_ok(numbers_are_permuted(&key), "numbers are permuted, below their limit, with as many digits");
    unit_ok(mask_number(&key, UINT64_C(9223372036854775807), UINT64_C(9223372036854775807)) <=
                UINT64_C(9223372036854775807),
            "the greatest of all numbers has a mask");
    unit_ok(days_are_permuted(&key, 365) && days_are_permuted(&key, 366), "days of a year are permuted");
    masked(&key, "Anna Maria Schmidt", true, a);
    masked(&key, "SCHMIDT anna", true, b);
    unit_ok(strncasecmp(a + 11, b, 7) == 0 && strncasecmp(a, b + 8, 4) == 0 && b[0] <= 'Z' && a[12] >= 'a',
            "words are masked by themselves, whatever their capitals");
    masked(&other, "Anna Maria Schmidt", true, b);
    unit_ok(strcmp(a, b) != 0, "another key, another mask");
    masked(&key, "030 1234567", true, a);
    masked(&key, "030 7654321", true, b);
    unit_ok(strncmp(a, b, 3) != 0, "digits alone are masked as a whole");
    masked(&key, "-12.50e", false, a);
    unit_ok(a[0] == '-' && a[3] == '.' && a[6] == 'e', "digits only, where that is asked for");
    masked(&key, "", true, a);
    masked(&key, "...", true, b);
    masked(&key, "7", true, c);
    unit_ok(a[0] == '\0' && strcmp(b, "...") == 0 && c[0] >= '0' && c[0] <= '9',
            "nothing, no letter, one digit");
    mask_format(&key, unknown, 3, true, false, places);
    unit_ok(unknown[0] >= 'a' && unknown[0] <= 'z' && unknown[1] == 0x301 && unknown[2] >= 'a' &&
                unknown[2] <= 'z',
            "letters of unknown scripts do not stay");
    mask_format(&key, greek, 1, true, false, places);
    mask_format(&key, greek + 1, 1, true, false, places);
    unit_ok(greek[0] - 0x3b1 == greek[1] - 0x391, "Greek capitals as their small letters");
    greek[0] = 0xe9;
    mask_format(&key, greek, 1, true, true, places);
    unit_ok(greek[0] >= 'a' && greek[0] <= 'z', "where the encoding has ASCII only, letters are ASCII");
    return unit_done();
}
