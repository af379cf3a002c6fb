/*
 * cholesky.h: solving the equations of a Newton step.
 */
#ifndef MASTERING_KERNEL_CHOLESKY_H
#define MASTERING_KERNEL_CHOLESKY_H

/*
 * Solves matrix * x = b for a symmetric positive definite n by n matrix (its lower triangle), in place; b
 * becomes x. A direction without curvature is given next to none, so the result is finite. Basic operations
 * and square roots in a fixed order: the same bits everywhere.
 */
void cholesky_solve(double *matrix, double *b, int n);

#endif
