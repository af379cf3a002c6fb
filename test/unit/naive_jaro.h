/*
 * naive_jaro.h: the Jaro similarity of two texts by its definition, which kernels are held against, here and
 * in test/fuzz: the first free equal character within the window, from the left, as in the published
 * procedure. At most NAIVE_LONGEST characters each.
 */
#ifndef NAIVE_JARO_H
#define NAIVE_JARO_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define NAIVE_LONGEST 10000

static double
naive_jaro(const uint32_t *x, uint32_t x_length, const uint32_t *y, uint32_t y_length)
{
    static bool taken_x[NAIVE_LONGEST], taken_y[NAIVE_LONGEST];
    int32_t longest = (int32_t)(x_length > y_length ? x_length : y_length);
    int32_t window = longest / 2 - 1 > 0 ? longest / 2 - 1 : 0;
    uint32_t matches = 0, moved = 0, k = 0;
    double m;

    if (x_length == 0 && y_length == 0)
        return 1.0;
    memset(taken_x, 0, sizeof taken_x);
    memset(taken_y, 0, sizeof taken_y);
    for (int32_t i = 0; i < (int32_t)x_length; i++)
        for (int32_t j = i - window < 0 ? 0 : i - window; j < (int32_t)y_length && j <= i + window; j++)
            if (!taken_y[j] && x[i] == y[j]) {
                taken_x[i] = taken_y[j] = true;
                matches++;
                break;
            }
    if (matches == 0)
        return 0.0;
    for (uint32_t i = 0; i < x_length; i++)
        if (taken_x[i]) {
            while (!taken_y[k])
                k++;
            moved += x[i] != y[k++];
        }
    m = matches;
    return (m / x_length + m / y_length + (m - moved / 2) / m) / 3.0;
}

#endif
