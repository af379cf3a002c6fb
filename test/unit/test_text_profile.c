/*
 * test_text_profile.c: profiles of many texts at once beside those of one, and both beside a count of their
 * characters.
 */
#include <string.h>

#include "kernel/lanes.h"
#include "kernel/text_profile.h"
#include "unit.h"

#define TEXTS 64
#define LONGEST 70

static uint8_t bytes[TEXTS][LONGEST + TEXT_PROFILE_ROOM];
static uint32_t wide[TEXTS][LONGEST];
static text_view texts[TEXTS];

/* Texts of all lengths; some of one character only, so that their class is full; what is behind them is
 * noise. */
static void
make_texts(uint64_t *seed)
{
    for (int i = 0; i < TEXTS; i++) {
        uint32_t length = unit_below(seed, LONGEST + 1), kinds = 1 + unit_below(seed, 3) * 120;
        bool is_wide = unit_below(seed, 5) == 0;

        for (size_t b = 0; b < sizeof bytes[i]; b++)
            bytes[i][b] = (uint8_t)(unit_below(seed, kinds) + unit_below(seed, 2) * 16);
        for (uint32_t c = 0; c < LONGEST; c++)
            wide[i][c] = 300 + unit_below(seed, kinds);
        texts[i] = is_wide ? (text_view){wide[i], length, 4} : (text_view){bytes[i], length, 1};
    }
}

/* Each class's count, and nothing of what lies behind the text. */
static bool
counts_are_right(text_view text, const text_profile *profile)
{
    uint32_t counts[16] = {0};

    for (uint32_t i = 0; i < text.length; i++)
        counts[text_view_at(text, i) & 15]++;
    for (int class = 0; class < 16; class ++)
        if ((profile->counts >> class * 4 & 15) != (counts[class] > 15 ? 15 : counts[class]))
            return false;
    for (uint32_t i = 0; i < 4; i++)
        if ((profile->start >> 8 * i & 255) != (i < text.length ? text_view_at(text, i) & 255 : 0))
            return false;
    return profile->length == text.length;
}

int
main(void)
{
    static const char *const names[] = {"one by one", "sse2", "avx2"};
    uint64_t seed = 5;

    for (int target = LANES_SINGLE; target <= LANES_AVX2; target++) {
        bool right = true, same = true;
        char name[80];

        if (lanes_use((lane_target)target) != (lane_target)target)
            continue;
        for (int round = 0; round < 2000; round++) {
            text_profile profiles[TEXTS];

            make_texts(&seed);
            text_profiles_make(texts, TEXTS, profiles);
            for (int i = 0; i < TEXTS; i++) {
                text_profile single = text_profile_of(texts[i]);

                same &= memcmp(&single, &profiles[i], sizeof single) == 0;
                right &= counts_are_right(texts[i], &profiles[i]);
            }
        }
        snprintf(name, sizeof name, "%s: many profiles are as each by itself", names[target]);
        unit_ok(same, name);
        snprintf(name, sizeof name, "%s: they count the characters of their texts", names[target]);
        unit_ok(right, name);
    }
    return unit_done();
}
