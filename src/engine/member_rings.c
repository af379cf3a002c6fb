/*
 * member_rings.c: see member_rings.h.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/member_rings.h"

#define MEMBERS_GONE_BY 1024 /* when some are chosen */

void
member_rings_allocate(member_rings *rings, Size members)
{
    Size room = mul_size(Max(members, 1), sizeof(uint32));

    rings->forest =
        (union_find){big_alloc(CurrentMemoryContext, room), big_alloc(CurrentMemoryContext, room), members};
    rings->next = big_alloc(CurrentMemoryContext, room);
}

void
member_rings_free(member_rings *rings)
{
    pfree(rings->forest.parent);
    pfree(rings->forest.size);
    pfree(rings->next);
}

member_rings
member_rings_from(const member_rings *rings, uint64 first, uint32 count)
{
    return (member_rings){{rings->forest.parent + first, rings->forest.size + first, count},
                          rings->next + first};
}

void
member_rings_start(member_rings *rings)
{
    for (uint32 i = 0; i < rings->forest.count; i++) {
        rings->forest.parent[i] = rings->next[i] = i;
        rings->forest.size[i] = 1;
    }
}

uint32
member_rings_join(member_rings *rings, const uint32 *records, uint32 a, uint32 b)
{
    union_find *forest = &rings->forest;
    bool larger =
        forest->size[a] > forest->size[b] || (forest->size[a] == forest->size[b] && records[a] < records[b]);
    uint32 root = larger ? a : b, other = larger ? b : a, swap = rings->next[a];

    forest->parent[other] = root;
    forest->size[root] += forest->size[other];
    rings->next[a] = rings->next[b];
    rings->next[b] = swap;
    return root;
}

/*
 * Every n-th member, so that no more than some are looked at. A large group is not gone round: each of a
 * hundred thousand records that come to it one by one would go.
 */
void
member_rings_sample(const member_rings *rings, const uint32 *records, uint32 root, record_group *sample)
{
    uint32 size = Min(rings->forest.size[root], MEMBERS_GONE_BY), member = root;

    sample->count = 0;
    for (uint32 i = 0; i < size; i++) {
        if (sample->count < MEMBERS_LOOKED_AT &&
            (uint64)i * Min(size, MEMBERS_LOOKED_AT) / size >= sample->count)
            sample->members[sample->count++] = records[member];
        member = rings->next[member];
    }
}
