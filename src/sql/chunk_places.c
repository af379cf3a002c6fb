/*
 * chunk_places.c: see chunk_places.h.
 *
 * Where keys are many beside the leaves of the index, the leaves are read one after the other, beside the
 * sorted keys, instead of going down for each key: ten thousand keys among ten million records come to some
 * three thousand pages instead of thirty thousand. A leaf is copied, so that nobody waits for it; its right
 * neighbour at that time goes on where it ends, whether it is split meanwhile or not (Lehman & Yao 1981).
 */
#include "compat.h"

#include "access/genam.h"
#include "access/nbtree.h"
#include "access/relscan.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "miscadmin.h"
#include "sql/chunk_places.h"
#include "sql/segment_rows.h"
#include "storage/bufmgr.h"
#include "storage/predicate.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Going down for a key costs as much as a leaf and some of its entries. */
#define KEYS_READ_PER_LEAF 1
/* The index is asked for as a whole where so many of its pages lie behind a key, or fewer. */
#define INDEX_PAGES_PER_KEY 4

typedef struct place_list {
    wanted_chunk *all;
    Size count, room;
} place_list;

static void
add_place(place_list *list, ItemPointerData place, Size asked)
{
    if (list->count == list->room) {
        list->room = Max(list->room * 2, 1024);
        list->all = list->all == NULL ? MemoryContextAllocHuge(CurrentMemoryContext,
                                                               mul_size(list->room, sizeof(wanted_chunk)))
                                      : repalloc_huge(list->all, mul_size(list->room, sizeof(wanted_chunk)));
    }
    list->all[list->count++] = (wanted_chunk){place, (uint32)asked};
}

/* ---- key by key ---- */

/* Of what begins alike before a key the index may have several versions, of which this snapshot sees one: all
 * are noted. */
static void
go_down(Relation relation, Relation index, const asked_key *asked, Size count, place_list *list)
{
    IndexScanDesc scan = index_beginscan(relation, index, GetActiveSnapshot(), 2, 0);
    ScanKeyData keys[2];

    scan->xs_want_itup = true;
    for (Size i = 0; i < count; i++) {
        int64 before = PG_INT64_MAX; /* where the last chunk begins that begins before the key */
        ItemPointer place;

        CHECK_FOR_INTERRUPTS();
        ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(asked[i].rule));
        ScanKeyInit(&keys[1], 2, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(asked[i].key));
        index_rescan(scan, keys, 2, NULL, 0);
        while ((place = index_getnext_tid(scan, BackwardScanDirection)) != NULL) {
            bool is_null;
            int64 first = DatumGetInt64(index_getattr(scan->xs_itup, 2, RelationGetDescr(index), &is_null));

            if (first < before && before < asked[i].key)
                break;
            before = first;
            add_place(list, *place, i);
        }
    }
    index_endscan(scan);
}

/* ---- leaf by leaf ---- */

/* The chunks that begin alike. */
typedef struct beginning {
    int32 rule;
    int64 first;
    ItemPointerData *places;
    Size count, room;
} beginning;

typedef struct walk {
    const asked_key *asked;
    Size count, next; /* the first key that the chunks so far have not passed */
    beginning before, at;
    place_list *list;
} walk;

static void
note_place(beginning *at, const ItemPointerData *place)
{
    if (at->count == at->room) {
        at->room = Max(at->room * 2, 8);
        at->places = at->places == NULL
                         ? palloc(sizeof(ItemPointerData) * at->room)
                         : repalloc_huge(at->places, mul_size(at->room, sizeof(ItemPointerData)));
    }
    at->places[at->count++] = *place;
}

static void
add_all(place_list *list, const beginning *of, Size asked)
{
    for (Size i = 0; i < of->count; i++)
        add_place(list, of->places[i], asked);
}

/* -1: the key comes before the beginning; 0: it is its first key. */
static int
compare_to(const asked_key *asked, int32 rule, int64 first)
{
    if (asked->rule != rule)
        return asked->rule < rule ? -1 : 1;
    return asked->key < first ? -1 : asked->key > first;
}

/* Keys from where the chunks at hand begin to where the next ones do, which have this rule and first key. */
static void
pass(walk *walk, bool last, int32 rule, int64 first)
{
    for (; walk->next < walk->count; walk->next++) {
        const asked_key *asked = walk->asked + walk->next;

        if (!last && compare_to(asked, rule, first) >= 0)
            break;
        if (walk->at.count == 0 || asked->rule != walk->at.rule)
            continue; /* before the first chunk of its rule, or of a rule that has none */
        add_all(walk->list, &walk->at, walk->next);
        if (asked->key == walk->at.first && walk->before.count > 0 && walk->before.rule == asked->rule)
            add_all(walk->list, &walk->before, walk->next);
    }
}

static void
take_entry(walk *walk, Relation index, IndexTuple tuple)
{
    TupleDesc columns = RelationGetDescr(index);
    bool is_null;
    int32 rule = DatumGetInt32(index_getattr(tuple, 1, columns, &is_null));
    int64 first = DatumGetInt64(index_getattr(tuple, 2, columns, &is_null));

    if (walk->at.count == 0 || walk->at.rule != rule || walk->at.first != first) {
        beginning spare = walk->before;

        pass(walk, false, rule, first);
        walk->before = walk->at;
        walk->at = spare;
        walk->at.rule = rule;
        walk->at.first = first;
        walk->at.count = 0;
    }
    if (BTreeTupleIsPosting(tuple))
        for (int i = 0; i < BTreeTupleGetNPosting(tuple); i++)
            note_place(&walk->at, BTreeTupleGetPostingN(tuple, i));
    else
        note_place(&walk->at, &tuple->t_tid);
}

static void
walk_leaves(Relation index, const asked_key *asked, Size count, place_list *list)
{
    walk walk = {.asked = asked, .count = count, .list = list};
    Snapshot snapshot = GetActiveSnapshot();
    Buffer buffer = _bt_get_endpoint(index, 0, false, snapshot);
    PGAlignedBlock copy;

    PredicateLockRelation(index, snapshot);
    while (BufferIsValid(buffer)) {
        Page page = copy.data;
        BTPageOpaque opaque;

        memcpy(page, BufferGetPage(buffer), BLCKSZ);
        UnlockReleaseBuffer(buffer);
        CHECK_FOR_INTERRUPTS();
        opaque = BTPageGetOpaque(page);
        if (!P_IGNORE(opaque))
            for (OffsetNumber at = P_FIRSTDATAKEY(opaque), end = PageGetMaxOffsetNumber(page); at <= end;
                 at = OffsetNumberNext(at))
                take_entry(&walk, index, (IndexTuple)PageGetItem(page, PageGetItemId(page, at)));
        if (P_RIGHTMOST(opaque) || walk.next == count)
            break;
        buffer = _bt_getbuf(index, opaque->btpo_next, BT_READ);
    }
    pass(&walk, true, 0, 0);
}

static int
compare_places(const void *a, const void *b)
{
    const wanted_chunk *x = a, *y = b;
    int order = ItemPointerCompare(unconstify(ItemPointerData *, &x->place),
                                   unconstify(ItemPointerData *, &y->place));

    return order != 0 ? order : x->asked < y->asked ? -1 : x->asked > y->asked;
}

wanted_chunk *
chunk_places(Relation relation, Relation index, const asked_key *asked, Size count, Size *found)
{
    place_list list = {0};
    BlockNumber pages = RelationGetNumberOfBlocks(index);

    if (pages <= (uint64)count * INDEX_PAGES_PER_KEY)
        segment_expect_index(index);
    if (pages <= (uint64)count * KEYS_READ_PER_LEAF)
        walk_leaves(index, asked, count, &list);
    else
        go_down(relation, index, asked, count, &list);
    if (list.count > 1)
        qsort(list.all, list.count, sizeof(wanted_chunk), compare_places);
    *found = list.count;
    return list.all;
}
