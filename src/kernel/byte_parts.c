/*
 * byte_parts.c: see byte_parts.h.
 */
#include "kernel/byte_parts.h"

#ifdef KERNEL_BYTE_PARTS

/* How many bits a number below 16 has, four bits each. */
#define BITS_OF_FOUR UINT64_C(0x4332322132212110)
#define BITS(x) ((BITS_OF_FOUR >> 4 * ((x)&15) & 15) + (BITS_OF_FOUR >> 4 * ((x) >> 4) & 15))

/* Which bytes to take of eight, so that those whose bits are set come first, and zeros behind them. */
#define TAKEN(bits, i) (((bits) >> (i)&1) * (UINT64_C(i) << 8 * BITS((bits) & ((1 << (i)) - 1))))
#define NONE(bits) ((bits) == 255 ? 0 : UINT64_C(0x8080808080808080) << 8 * (BITS(bits) & 7))
#define KEPT(bits)                                                                                           \
    (TAKEN(bits, 1) | TAKEN(bits, 2) | TAKEN(bits, 3) | TAKEN(bits, 4) | TAKEN(bits, 5) | TAKEN(bits, 6) |   \
     TAKEN(bits, 7) | NONE(bits))
#define KEPT_4(bits) KEPT(bits), KEPT((bits) + 1), KEPT((bits) + 2), KEPT((bits) + 3)
#define KEPT_16(bits) KEPT_4(bits), KEPT_4((bits) + 4), KEPT_4((bits) + 8), KEPT_4((bits) + 12)
#define KEPT_64(bits) KEPT_16(bits), KEPT_16((bits) + 16), KEPT_16((bits) + 32), KEPT_16((bits) + 48)

const uint64_t byte_parts_kept[256] = {KEPT_64(0), KEPT_64(64), KEPT_64(128), KEPT_64(192)};

const uint8_t byte_parts_moved[48] = {128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128,
                                      128, 128, 128, 128, 0,   1,   2,   3,   4,   5,   6,   7,
                                      8,   9,   10,  11,  12,  13,  14,  15,  128, 128, 128, 128,
                                      128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128};

#endif
