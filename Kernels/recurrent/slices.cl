// Which work-item computes what of a layer's steps: a slice of the batch, or a split of the hidden
// units.
//
// A slice is some of the sequences, with all hidden units. The longest sequence comes first, so
// that the sequences that have a step are the first of the slice. No slice waits for another.
//
// A split is some tiles of hidden units, for every sequence. After each step every split waits
// until all others have arrived. A work-item claims the tiles of its own split, computes them, and
// marks them as done; then it looks at each other split until that is done too. If it has looked
// for long, it claims a split that nobody has claimed: OpenCL does not promise that all
// work-groups of a launch run at the same time. The bits of a tile do not depend on who computes
// it.
//
// `sync` holds two counts for each split: the last step that was claimed, and the last that is
// done. Steps are counted on from launch to launch. The counts are integers; no sum of floats
// depends on the order in which work-items arrive.
//
// A tile is a range of hidden units: TILE_UNITS of them forward, so that all gates of its units
// fill whole panels; COLUMNS backward, the units of one panel.

#include "recurrent/layer.cl"

/// What a work-item computes: rows `first` to `end` of the order, tiles `first_tile` to `end_tile`
/// of the hidden units.
typedef struct {
  int first, end, first_tile, end_tile, tiles;
  global const int *order;   // the sequences, slice after slice, the longest of each first; or null
  global const int *places;  // place_of each step of each sequence [T, N], where there are lengths
  volatile global int *sync; // null for a slice
  int id;                    // of the work-item
  int step;                  // the last step that was begun
  int splits;                // how many there are; 1 for a slice
  int claimed_split;         // whose tiles were claimed last; 0 for a slice
  int seen;                  // the splits that were looked at in this step
  int polls;                 // how often to look at a split before claiming it
} Slice;

/// Which way a work-item takes tiles the `time`-th time: 1 upward, -1 downward.
///
/// The ways alternate. Where the weights of all tiles are more than a cache holds, those that were
/// read last are still there; always upward, each would push out the one that is needed next.
/// (Two cores with 2 MiB each, an LSTM of 512 units: one sequence inferring 27 % less time, 64
/// training 8 %.)
INLINE int way_of(int time) { return time & 1 ? -1 : 1; }

/// The i-th of the tiles from `first` to `end` on a way.
INLINE int tile_on(int way, int first, int end, int i) { return way > 0 ? first + i : end - 1 - i; }

/// The sequence of a row.
INLINE int sequence_of(const Slice *slice, int row) {
  return slice->order ? slice->order[row] : row;
}

/// So many sequences side by side have the places of their steps side by side: cores that compute
/// other sequences write elsewhere. (An RNN's pass of T 50, N 32, H 128 takes 5 % longer where the
/// places of a step follow each other for all sequences.)
#define SEQUENCES_TOGETHER 16

/// The k of step t of sequence n in the products that make the gradients of weights: the order in
/// which they are summed (gradient_tiles.cl). It does not depend on the slices.
INLINE int place_of(const Slice *slice, const Layer *layer, int t, int n) {
  const int N = layer->N, first = n / SEQUENCES_TOGETHER * SEQUENCES_TOGETHER;
  if (slice->places) return slice->places[t * N + n];
  return first * layer->T + t * min(SEQUENCES_TOGETHER, N - first) + n - first;
}

/// Where the rows end that have step t; `end` is where the rows of the step next to it end.
INLINE int active_end(const Slice *slice, const Layer *layer, int t, int end) {
  if (!layer->lengths) return slice->end;
  while (end > slice->first && layer->lengths[slice->order[end - 1]] <= t) --end;
  while (end < slice->end && layer->lengths[slice->order[end]] > t) ++end;
  return end;
}

/// The ints between two counts: each split's counts stay in the cache of its own core.
#define LINE 16

INLINE volatile global int *claimed_step(const Slice *slice, int split) {
  return slice->sync + 2 * split * LINE;
}
INLINE volatile global int *done_step(const Slice *slice, int split) {
  return slice->sync + (2 * split + 1) * LINE;
}

/// Whether a count has not reached a step; it may have wrapped around.
INLINE int is_behind(int count, int step) { return (int)((uint)count - (uint)step) < 0; }

/// The first of the `count` things, tiles or panels, that belong to a split.
INLINE int split_begin(const Slice *slice, int count, int split) {
  return count * split / slice->splits;
}

/// Claims a split at a step, unless it was claimed already; returns whether it did.
INLINE int claim(Slice *slice, int split, int step) {
  volatile global int *last = claimed_step(slice, split);
  const int before = *last;
  if (!is_behind(before, step) || atomic_cmpxchg(last, before, step) != before) return 0;
  slice->claimed_split = split;
  slice->first_tile = split_begin(slice, slice->tiles, split);
  slice->end_tile = split_begin(slice, slice->tiles, split + 1);
  return 1;
}

/// Makes visible what others wrote before they set a count to its present value.
INLINE void acquire(volatile global int *count) {
#if IS_PROCESSOR
  // A load only: a write would take the cache line from the core that counts.
  __atomic_load_n(count, __ATOMIC_ACQUIRE);
#else
  atomic_add(count, 0);
  mem_fence(CLK_GLOBAL_MEM_FENCE);
#endif
}

/// Whether a split is done at a step; looks `polls` times.
INLINE int is_done(Slice *slice, int split, int step) {
  volatile global int *last = done_step(slice, split);
  for (int poll = 0; is_behind(*last, step); ++poll) {
    if (poll >= slice->polls) return 0;
  }
  acquire(last);
  return 1;
}

/// Claims the next tiles of a step that this work-item computes; returns 0 when the step is done.
///
/// Marks the tiles of the call before as done. With splits this is where cores wait for each other:
/// it returns 0 only when the tiles of all splits are done. A slice has its tiles once at each step
/// and waits for nobody. `step` counts on from launch to launch (`step_base`); it is no t.
INLINE int claim_tiles(Slice *slice, int step) {
  const int is_new = slice->step != step;
  slice->step = step;
  if (!slice->sync) return is_new;
  const int id = slice->id, splits = slice->splits;
  if (is_new) {
    slice->seen = 1;
    if (claim(slice, id, step)) return 1;
    slice->seen = 0;
  } else {
    mem_fence(CLK_GLOBAL_MEM_FENCE);
    atomic_xchg(done_step(slice, slice->claimed_split), step);
  }
  while (slice->seen < splits) {
    const int split = (id + slice->seen) % splits;
    if (is_done(slice, split, step)) {
      ++slice->seen;
    } else if (claim(slice, split, step)) {
      // A split that is late once may never run.
      slice->polls /= 2;
      ++slice->seen;
      return 1;
    }
  }
  return 0;
}

/// The slice of a work-item: some of the rows, or with `sync` a split of the tiles. The first step
/// is `step_base` + 1.
INLINE void find_slice(Slice *slice, int tile_units, int N, int H, global const int *order,
                       volatile global int *sync, int step_base, int polls) {
  const int id = get_global_id(0), count = get_global_size(0);
  slice->id = id;
  slice->first = sync ? 0 : slice_begin(id, count, N);
  slice->end = sync ? N : slice_begin(id + 1, count, N);
  slice->tiles = (H + tile_units - 1) / tile_units;
  slice->first_tile = 0;
  slice->end_tile = slice->tiles;
  slice->order = order;
  slice->places = order ? order + N : 0;
  slice->sync = sync;
  slice->step = step_base;
  slice->splits = sync ? count : 1;
  slice->claimed_split = 0;
  slice->polls = polls;
}
