/*
 * cholesky.c: see cholesky.h.
 */
#include "kernel/cholesky.h"

#include <math.h>
#include <stddef.h>

void
cholesky_solve(double *matrix, double *b, int n)
{
    for (int j = 0; j < n; j++) {
        double diagonal = matrix[(size_t)j * n + j];

        for (int k = 0; k < j; k++)
            diagonal -= matrix[(size_t)j * n + k] * matrix[(size_t)j * n + k];
        diagonal = sqrt(diagonal > 1e-12 ? diagonal : 1e-12);
        matrix[(size_t)j * n + j] = diagonal;
        for (int i = j + 1; i < n; i++) {
            double sum = matrix[(size_t)i * n + j];

            for (int k = 0; k < j; k++)
                sum -= matrix[(size_t)i * n + k] * matrix[(size_t)j * n + k];
            matrix[(size_t)i * n + j] = sum / diagonal;
        }
    }
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < i; k++)
            b[i] -= matrix[(size_t)i * n + k] * b[k];
        b[i] /= matrix[(size_t)i * n + i];
    }
    for (int i = n - 1; i >= 0; i--) {
        for (int k = i + 1; k < n; k++)
            b[i] -= matrix[(size_t)k * n + i] * b[k];
        b[i] /= matrix[(size_t)i * n + i];
    }
}
