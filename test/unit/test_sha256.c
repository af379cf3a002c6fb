/*
 * test_sha256.c: the vectors of FIPS 180, lengths around the borders of blocks, pieces against the whole, and
 * the processor's instructions against plain C.
 */
#include "kernel/sha256.h"
#include "unit.h"

static const char *
hex_of(const void *bytes, size_t length, size_t piece)
{
    static char digits[2 * SHA256_BYTES + 1];
    uint8_t digest[SHA256_BYTES];
    sha256_state state;

    sha256_start(&state);
    for (size_t at = 0; at < length; at += piece)
        sha256_add(&state, (const char *)bytes + at, length - at < piece ? length - at : piece);
    sha256_finish(&state, digest);
    for (int i = 0; i < SHA256_BYTES; i++)
        sprintf(digits + 2 * i, "%02x", digest[i]);
    return digits;
}

static bool
vectors(void)
{
    static char million[1000000];
    const char *two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

    memset(million, 'a', sizeof million);
    return strcmp(hex_of("", 0, 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855") ==
               0 &&
           strcmp(hex_of("abc", 3, 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") ==
               0 &&
           strcmp(hex_of(two_blocks, strlen(two_blocks), 1000),
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1") == 0 &&
           strcmp(hex_of(million, sizeof million, 997),
                  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0") == 0;
}

int
main(void)
{
    static char text[400], plain[400][2 * SHA256_BYTES + 1];
    bool same = true, pieces = true;

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * i * 7 + i);
    sha256_use_instructions(false);
    unit_ok(vectors(), "the vectors of FIPS 180, in plain C");
    for (size_t length = 0; length < sizeof text; length++) {
        strcpy(plain[length], hex_of(text, length, sizeof text));
        for (size_t piece = 1; piece < 130; piece += 21)
            pieces = pieces && strcmp(plain[length], hex_of(text, length, piece)) == 0;
    }
    unit_ok(pieces, "pieces of any length give what the whole gives");
    if (sha256_use_instructions(true)) {
        unit_ok(vectors(), "the vectors of FIPS 180, by the processor's instructions");
        for (size_t length = 0; length < sizeof text; length++)
            same = same && strcmp(plain[length], hex_of(text, length, 50)) == 0;
        unit_ok(same, "the processor's instructions give what plain C gives");
    }
    return unit_done();
}
