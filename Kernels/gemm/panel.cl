// The product at the heart of every CPU-device kernel: a few rows times one panel of columns, with
// all sums in registers.
//
// A matrix B [K, columns] is packed in panels: panel p holds, for each k, the COLUMNS = 2 WIDTH
// consecutive columns from p COLUMNS on, zeros past the last: packed[(p K + k) COLUMNS + j].
//
// Each sum goes along k, one product after the other, whatever rows are multiplied beside it: the
// bits of a row do not depend on how rows are shared out. Only the rows of a product that has few
// of them in all are each summed in four (row_product).
//
// Parameters:
//   ALONG_TILES   1: the rows of products are columns of tiles (gradient_tiles.cl); 0: those of a
//                 row-major matrix.
//   FETCH_AHEAD   1: a product asks for a part of the panel that comes soon, `ahead`, into the
//   second
//                 cache. Only with vectors of less than 16; with 16 a product asks for its own
//                 panel SOON k ahead instead. With it the steps of an LSTM T50 N64 of 1024 units
//                 take 18 % less, of 512 units 1 to 3 % (AVX2).
//   HALF_WEIGHTS  1: the panels hold FP16, rounded as they are packed and widened as they are read:
//                 half the bytes, where reading them is the limit.

#include "common/vector.cl"

#ifndef ALONG_TILES
#define ALONG_TILES 0
#endif
#ifndef FETCH_AHEAD
#define FETCH_AHEAD 0
#endif
#ifndef HALF_WEIGHTS
#define HALF_WEIGHTS 0
#endif

#define COLUMNS (2 * WIDTH)

/// An element of a panel.
#if HALF_WEIGHTS
typedef half Packed;
#else
typedef float Packed;
#endif

INLINE REAL load_packed(global const Packed *source) {
#if HALF_WEIGHTS
  return JOIN(vload_half, WIDTH)(0, source);
#else
  return load_vector(source);
#endif
}

INLINE void store_packed(REAL value, global Packed *destination) {
#if HALF_WEIGHTS
  JOIN(vstore_half, WIDTH)(value, 0, destination);
#else
  store_vector(value, destination);
#endif
}

/// The same of one element.
INLINE void store_element(float value, global Packed *destination) {
#if HALF_WEIGHTS
  vstore_half(value, 0, destination);
#else
  *destination = value;
#endif
}

/// A layer's weights, where these are packed.
INLINE global const Packed *packed(global const float *weights) {
  return (global const Packed *)weights;
}

/// The k for which packing reads a column that lies along k before it turns to the next: enough
/// lines of memory for the processor to fetch them ahead, and few enough that what is written stays
/// in the first cache.
#ifndef PACK_DEPTH
#define PACK_DEPTH 64
#endif

/// The rows that there is room for.
#define ROWS 8

/// The most rows of one call. AVX2 has 16 registers: the sums of 6 rows leave room for a factor and
/// the panel's two vectors. Processors with narrower vectors take as many.
#if WIDTH == 16
#define CALL_ROWS 8
#else
#define CALL_ROWS 6
#endif

/// How far apart the k of a row lie. A constant: with one that is not, the rows of some k that are
/// added in one turn of the loop have addresses of their own, and there are too few registers.
#define K_STRIDE (ALONG_TILES ? ROWS : 1)

// The sums of a row are variables of their own, not elements of an array: compilers keep variables
// in registers, while an array that one loop is not unrolled over stays in memory.
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define LOAD_SUMS(r)                                                                               \
  global const float *a##r = r < rows ? a[r] : 0;                                                  \
  REAL left##r = (REAL)(0.0f), right##r = (REAL)(0.0f);                                            \
  if (r < rows) left##r = sums[r][0], right##r = sums[r][1];
#define ADD_PRODUCTS(r)                                                                            \
  if (r < rows) {                                                                                  \
    const REAL x = (REAL)(a##r[i]);                                                                \
    left##r = fma(x, left, left##r);                                                               \
    right##r = fma(x, right, right##r);                                                            \
  }
#define ADD_K                                                                                      \
  {                                                                                                \
    const REAL left = load_packed(panel), right = load_packed(panel + WIDTH);                      \
    EACH_ROW(ADD_PRODUCTS)                                                                         \
    panel += COLUMNS;                                                                              \
    i += K_STRIDE;                                                                                 \
  }
#define STORE_SUMS(r)                                                                              \
  if (r < rows) sums[r][0] = left##r, sums[r][1] = right##r;

/// Whether the rows of a product are multiplied one by one: a single row, or two or three whose
/// panel stays in the first cache meanwhile. `all` are the rows of all work-items together.
INLINE int multiplies_alone(int all, int K) {
  return all == 1 || (all <= 3 && K * COLUMNS * (int)sizeof(float) <= 24576);
}

/// How many of `left` rows are multiplied next: an odd number only where no others are left. Where
/// a call takes at most 6, the last 7 or 8 rows are two calls of 4: the few sums of a call of 2
/// would wait for themselves.
INLINE int next_rows(int left, int alone) {
  if (alone) return 1;
#if CALL_ROWS == 8
  return left >= CALL_ROWS ? CALL_ROWS : min(left, 4);
#else
  return left > 8 ? CALL_ROWS : left > CALL_ROWS ? 4 : left;
#endif
}

/// The rows of a call for so many: CALL_ROWS, 4 or 2, where the caller gives the last of an odd
/// number twice; 1 for one that is multiplied alone.
INLINE int call_rows(int rows, int alone) { return alone ? 1 : rows + (rows & 1); }

/// So many k ahead a panel is asked for where vectors are of 16: there a product of ROWS rows takes
/// a line of memory for each 4 cycles, and no processor looks so far ahead by itself. (Two cores of
/// a Xeon: LSTM training T25 N32 C1024 H1024 24 % less time, T25 N64 C512 H512 7 %, T100 N64 C128
/// H256 5 %; T50 N32 C20 H128, whose weights are near, the same.)
#define SOON 32

/// Asks for the COLUMNS weights of one k.
INLINE void fetch_panel(global const Packed *weights) {
  for (int i = 0; i < COLUMNS; i += 64 / (int)sizeof(Packed)) {
    fetch((global const float *)(weights + i));
  }
}

/// sums[r][0..1] += sum over k of a[r][k K_STRIDE] * panel[k][0..COLUMNS), r < rows. `rows` is a
/// constant wherever this is called. With FETCH_AHEAD and WIDTH below 16 it asks for a line at
/// `ahead` at every fourth k, as much as a quarter of a panel; else `ahead` is not read.
INLINE void panel_product(const int rows, REAL sums[ROWS][2], global const float *const *a,
                          global const Packed *panel, int K, global const Packed *ahead) {
  EACH_ROW(LOAD_SUMS)
  size_t i = 0;
  int k = 0;
#if WIDTH < 16
  // Beside few products a turn of the loop counts.
  for (; k + 4 <= K; k += 4) {
    if (FETCH_AHEAD) fetch_second((global const float *)ahead), ahead += COLUMNS;
    ADD_K
    ADD_K
    ADD_K
    ADD_K
  }
#endif
  for (; k < K; ++k) {
#if WIDTH == 16
    fetch_panel(panel + SOON * COLUMNS);
#endif
    ADD_K
  }
  EACH_ROW(STORE_SUMS)
}

#define EACH_FOURTH(DO) DO(0) DO(1) DO(2) DO(3)
#define CLEAR_FOURTH(j) REAL left##j = (REAL)(0.0f), right##j = (REAL)(0.0f);
#define ADD_FOURTH(j)                                                                              \
  {                                                                                                \
    const REAL x = (REAL)(a[i]);                                                                   \
    left##j = fma(x, load_packed(panel + 2 * j * WIDTH), left##j);                                 \
    right##j = fma(x, load_packed(panel + (2 * j + 1) * WIDTH), right##j);                         \
    i += K_STRIDE;                                                                                 \
  }

/// The same for a row that is multiplied alone. Long sums are those of every fourth k first, and
/// then of these: a single one would wait for itself at each k.
INLINE void row_product(REAL sums[2], global const float *a, global const Packed *panel, int K) {
  EACH_FOURTH(CLEAR_FOURTH)
  size_t i = 0;
  int k = 0;
  left0 = sums[0], right0 = sums[1];
  for (; K >= 32 && k + 4 <= K; k += 4) {
    EACH_FOURTH(ADD_FOURTH)
    panel += 4 * COLUMNS;
  }
  for (; k < K; ++k) {
    ADD_FOURTH(0)
    panel += COLUMNS;
  }
  sums[0] = (left0 + left1) + (left2 + left3);
  sums[1] = (right0 + right1) + (right2 + right3);
}

/// The quarter of another panel that a call for the rows from `row` on asks for; that panel lies
/// `distance` elements further, or back. Four calls ask for all of it, later ones for its end
/// again.
INLINE global const Packed *
quarter_ahead(global const Packed *panel, long distance, int K, int row) {
  return panel + distance + (size_t)min(row / CALL_ROWS, 3) * K * (COLUMNS / 4);
}

/// The same as panel_product for as many rows as call_rows gives. The rows may lie anywhere.
OUTLINE void row_products(int rows, REAL sums[ROWS][2], global const float *const *a,
                          global const Packed *panel, int K, global const Packed *ahead) {
  if (rows == CALL_ROWS) panel_product(CALL_ROWS, sums, a, panel, K, ahead);
  else if (rows == 4) panel_product(4, sums, a, panel, K, ahead);
  else if (rows == 2) panel_product(2, sums, a, panel, K, ahead);
  else row_product(sums[0], a[0], panel, K);
}

/// The same for `rows` rows, which lie `row_stride` apart from `a` on.
INLINE void
panel_products(int rows, int alone, REAL sums[ROWS][2], global const float *a, int row_stride,
               global const Packed *panel, int K, global const Packed *ahead) {
  const int called = call_rows(rows, alone);
  global const float *each[ROWS];
  for (int r = 0; r < called; ++r) each[r] = a + (size_t)min(r, rows - 1) * row_stride;
  row_products(called, sums, each, panel, K, ahead);
}

/// Asks for `rows` rows of a tile of C that is soon read or stored. A processor stores in order:
/// what waits for its line holds up all that comes after it.
INLINE void fetch_tile(int rows, global const float *c, int c_stride) {
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < 2; ++v) fetch(c + (size_t)r * c_stride + v * WIDTH);
  }
}

/// What is in `rows` rows of C, `count` columns from c on.
INLINE void
load_tile(int rows, REAL sums[ROWS][2], global const float *c, int c_stride, int count) {
  for (int r = 0; r < rows; ++r) {
    sums[r][0] = load_lanes(c + (size_t)r * c_stride, count);
    sums[r][1] = load_lanes(c + (size_t)r * c_stride + WIDTH, count - WIDTH);
  }
}

/// Stores the sums of `rows` rows, `count` columns from c on.
INLINE void
store_tile(int rows, const REAL sums[ROWS][2], global float *c, int c_stride, int count) {
  for (int r = 0; r < rows; ++r) {
    store_lanes(sums[r][0], c + (size_t)r * c_stride, count);
    store_lanes(sums[r][1], c + (size_t)r * c_stride + WIDTH, count - WIDTH);
  }
}

/// The k of one pass of a product of all steps: what a tile reads of A stays in the first-level
/// cache, that of an item's panels in the second.
#ifndef DEPTH
#define DEPTH 512
#endif

/// The k of one pass where there are K: as near DEPTH as equal passes come.
INLINE int pass_depth(int K) {
  const int passes = max((K + DEPTH / 2) / DEPTH, 1);
  return max((K + passes - 1) / passes, 1);
}

/// Where the panels begin that an item multiplies after its own from panel `left` on up to `k_end`:
/// the next k of the same, or the first k of those from `after` on.
INLINE global const Packed *
next_panels(global const Packed *panels, int left, int after, int k_end, int K) {
  return panels + (k_end < K ? (size_t)left * K + k_end : (size_t)after * K) * COLUMNS;
}

/// What the product of panel `index` of an item's `count` fetches, in the item's `turn`th turn
/// through them, each as much as a quarter of a panel: the first two of the rows from `rows` on,
/// which follow each other in memory, ROWS of them with vectors of 8 and Float32; the others of the
/// panels from `panels` on.
INLINE global const Packed *item_ahead(int index, int turn, int count, global const float *rows,
                                       global const Packed *panels, int K, int depth) {
  if (!FETCH_AHEAD) return panels;
  const size_t quarter = (size_t)depth * (COLUMNS / 4);
  if (index < 2) return (global const Packed *)rows + index * quarter;
  const int next = ((count - 2) * turn + index - 2) % (4 * count);
  return panels + (size_t)(next / 4) * K * COLUMNS + (next % 4) * quarter;
}
