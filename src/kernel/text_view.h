/*
 * text_view.h: how the kernels see a text, and the memory and the brake they are given.
 *
 * A text is an array of characters (Unicode code points), never of bytes. It is held in one of two
 * widths: 1 byte a character when every character is below 256 (ASCII and Latin-1), else 4 bytes. The
 * narrowest width is always the one used, so equal texts have equal bytes.
 *
 * No PostgreSQL here. Kernels run on worker threads, so they allocate with malloc through a
 * kernel_workspace that its thread owns, never throw, and report by kernel_status.
 */
#ifndef MASTERING_KERNEL_TEXT_VIEW_H
#define MASTERING_KERNEL_TEXT_VIEW_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct text_view {
    const void *chars; /* uint8_t[length] or uint32_t[length] */
    uint32_t length;   /* characters */
    uint8_t width;     /* 1 or 4 */
} text_view;

typedef enum kernel_status {
    KERNEL_OK = 0,
    KERNEL_STOPPED,   /* *stop became true; the result is undefined, the call can be repeated */
    KERNEL_NO_MEMORY, /* malloc refused; the result is undefined */
} kernel_status;

/*
 * Scratch memory of one thread. Zero it before first use; grows on demand, is kept from call to call,
 * and is freed by kernel_workspace_free. stop may be NULL: a kernel that can run long looks at it at
 * least every millisecond of work.
 */
typedef struct kernel_workspace {
    void *memory;
    size_t size;
    const volatile sig_atomic_t *stop;
} kernel_workspace;

/* At least size bytes of scratch, 16-byte aligned, contents undefined; NULL when malloc refuses. */
static inline void *
kernel_workspace_reserve(kernel_workspace *workspace, size_t size)
{
    if (workspace->size < size) {
        size_t want = size + size / 2 + 256;
        free(workspace->memory);
        workspace->memory = malloc(want);
        workspace->size = workspace->memory ? want : 0;
    }
    return workspace->memory;
}

static inline void
kernel_workspace_free(kernel_workspace *workspace)
{
    free(workspace->memory);
    workspace->memory = NULL;
    workspace->size = 0;
}

static inline bool
kernel_stop_requested(const kernel_workspace *workspace)
{
    return workspace->stop != NULL && *workspace->stop != 0;
}

static inline uint32_t
text_view_at(text_view text, uint32_t i)
{
    return text.width == 1 ? ((const uint8_t *)text.chars)[i] : ((const uint32_t *)text.chars)[i];
}

/* Below, at or above 0: by characters, a text before those that go on. */
static inline int
text_view_compare(text_view a, text_view b)
{
    uint32_t shorter = a.length < b.length ? a.length : b.length;

    for (uint32_t i = 0; i < shorter; i++) {
        uint32_t x = text_view_at(a, i), y = text_view_at(b, i);

        if (x != y)
            return x < y ? -1 : 1;
    }
    return a.length < b.length ? -1 : a.length > b.length;
}

#endif
