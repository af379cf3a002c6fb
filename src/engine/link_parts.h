/*
 * link_parts.h: links dealt into parts that threads can work on side by side: no component of linked records
 * is in two of them. Within a part links keep their order, so what is done link by link has the same result
 * as without parts.
 */
#ifndef MASTERING_ENGINE_LINK_PARTS_H
#define MASTERING_ENGINE_LINK_PARTS_H

#include "compat.h"

#include "engine/labels.h"
#include "engine/run.h"
#include "kernel/radix_sort.h"

#define MOST_LINK_PARTS 64

typedef struct link_parts {
    const keyed_record *links;          /* of the parts, one behind the other */
    uint64 starts[MOST_LINK_PARTS + 1]; /* of the parts, and the end */
    int count;
    keyed_record *dealt; /* what link_parts_free frees; NULL: the links are the caller's */
} link_parts;

/* Two records that a label names are in one component, whatever it says. With one thread, or few links, there
 * is one part: the links themselves. */
extern void link_parts_deal(match_run *run, const keyed_record *links, uint64 count,
                            const label_list *verdicts, link_parts *parts);
extern void link_parts_free(link_parts *parts);

#endif
