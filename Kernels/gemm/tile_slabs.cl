// How a work-group of tiled_products.cl brings slabs of A and B into local memory.
//
// A slab of an operand has DEPTH k and, with `tile` the rows of A or columns of B in a tile, `tile`
// m. Each work-item brings QUADS(tile) quads of it: four floats that are neighbours along k where
// `along_k`, else along m. It holds those of the next slab in registers while this one is
// multiplied.
//
// Parameters:
//   TILE_M, TILE_N         rows and columns of C of one work-group.
//   MICRO_M, MICRO_N       those of one work-item, multiples of 4; TILE_M / MICRO_M is one of 4,
//                          TILE_N / MICRO_N one of 8.
//   DEPTH                  k of a slab, a multiple of 8; 16 where PRECISION is not 0. Each
//                          work-item loads the same number of quads, of A and of B: TILE DEPTH is
//                          a multiple of 4 ITEMS.
//   PRECISION              as in matrix_units.cl; where it is not 0, a warp has 8 MICRO_M rows
//                          and 4 MICRO_N columns.
//   A_ALONG_K, B_ALONG_K   1 where neighbours in memory differ in k, 0 where in m or n.
//   A_VECTOR, B_VECTOR     1 where four neighbours are read at once: the stride along them is 1,
//                          and offset, the other stride and the extents are multiples of 4.

#include "gemm/matrix_units.cl"

#ifndef TILE_M
#define TILE_M 128
#endif
#ifndef TILE_N
#define TILE_N 128
#endif
#ifndef MICRO_M
#define MICRO_M 8
#endif
#ifndef MICRO_N
#define MICRO_N 8
#endif
#ifndef DEPTH
#define DEPTH 8
#endif
#ifndef A_ALONG_K
#define A_ALONG_K 1
#endif
#ifndef B_ALONG_K
#define B_ALONG_K 1
#endif
#ifndef A_VECTOR
#define A_VECTOR 0
#endif
#ifndef B_VECTOR
#define B_VECTOR 0
#endif

#define ITEMS_X (TILE_N / MICRO_N)
#define ITEMS_Y (TILE_M / MICRO_M)
#define ITEMS (ITEMS_X * ITEMS_Y)
/// Quads of a slab that a work-item loads, of an operand with `tile` rows or columns in a tile.
#define QUADS(tile) ((tile)*DEPTH / 4 / ITEMS)
// A slab has one row for each k, with a vector of padding: two quads along k, stored by neighbours,
// then go to different banks. With PRECISION it lies as matrix_units.cl describes.
#define PADDING (PRECISION ? 0 : 1)
#define PITCH(tile) ((tile) / 4 + PADDING)

/// Along k so many work-items read neighbours of a row: 8 floats are a sector of the memory.
#define ROW_QUADS (PRECISION ? DEPTH / 4 : 2)

/// The k within its slab that quad `e` of an operand begins with.
INLINE int quad_k(int e, int tile, int along_k) {
  return along_k ? e / (ROW_QUADS * tile) * (4 * ROW_QUADS) + e % ROW_QUADS * 4 : e / (tile / 4);
}

/// The row of A, or column of B, within its tile that quad `e` begins with.
INLINE int quad_m(int e, int tile, int along_k) {
  return along_k ? e / ROW_QUADS % tile : e % (tile / 4) * 4;
}

/// Where quad (k, m) of an operand's tile begins, `extent` rows from the end of all. Past the last
/// row it is that of the last one, whose products nobody stores then.
INLINE int
quad_start(int k, int m, int extent, int k_stride, int m_stride, int along_k, int vector) {
  return k * k_stride + min(m, extent - (vector && !along_k ? 4 : 1)) * m_stride;
}

/// A quad from x on, all of whose k there are: zeros past the last row.
INLINE float4 load_quad(global const float *x, int m, int extent, int k_stride, int m_stride,
                        int along_k, int vector) {
  if (vector) return *(global const float4 *)x;
  const int stride = along_k ? k_stride : m_stride, rest = along_k ? 3 : extent - 1 - m;
  return (float4)(x[0], rest > 0 ? x[stride] : 0.0f, rest > 1 ? x[2 * (size_t)stride] : 0.0f,
                  rest > 2 ? x[3 * (size_t)stride] : 0.0f);
}

/// A quad from x on: zeros for all k but the first `count`.
INLINE float4 load_first(global const float *x, int count, int m, int extent, int k_stride,
                         int m_stride, int along_k, int vector) {
  if (count <= 0) return (float4)(0.0f);
  if (vector || !along_k) return load_quad(x, m, extent, k_stride, m_stride, along_k, vector);
  return (float4)(x[0], count > 1 ? x[k_stride] : 0.0f, count > 2 ? x[2 * (size_t)k_stride] : 0.0f,
                  count > 3 ? x[3 * (size_t)k_stride] : 0.0f);
}

/// A quad to (k, m) of a slab.
INLINE void store_quad(float4 quad, local float4 *slab, int pitch, int k, int m, int along_k) {
  if (PRECISION) {
    slab[along_k ? (m * DEPTH + k) / 4 : k * pitch + PLACE_ACROSS(k, m) / 4] = round_four(quad);
  } else if (along_k) {
    local float *target = (local float *)slab + (size_t)k * pitch * 4 + m;
    target[0] = quad.s0;
    target[pitch * 4] = quad.s1;
    target[pitch * 8] = quad.s2;
    target[pitch * 12] = quad.s3;
  } else {
    slab[k * pitch + m / 4] = quad;
  }
}

/// A or B from the next slab of a tile on: (k, m) is next[k k_stride + m m_stride], where m is a
/// row of A or a column of B, and `extent` of them are left.
typedef struct {
  global const float *next;
  int k_stride, m_stride, extent;
} Operand;

/// Begins with the first slab of a tile, of which only the first `count` k are there: `starts`
/// receives where this work-item's quads of a slab begin, `quads` those of this one.
INLINE void load_first_slab(Operand *x, int *starts, float4 *quads, int item, int count, int tile,
                            int along_k, int vector) {
#pragma unroll
  for (int i = 0; i < QUADS(tile); ++i) {
    const int e = item + i * ITEMS, k = quad_k(e, tile, along_k), m = quad_m(e, tile, along_k);
    starts[i] = quad_start(k, m, x->extent, x->k_stride, x->m_stride, along_k, vector);
    quads[i] = load_first(x->next + starts[i], count - k, m, x->extent, x->k_stride, x->m_stride,
                          along_k, vector);
  }
  x->next += (size_t)count * x->k_stride;
}

/// This work-item's quads of the next slab, all of whose k there are.
INLINE void load_slab(Operand *x, const int *starts, float4 *quads, int item, int tile, int along_k,
                      int vector) {
#pragma unroll
  for (int i = 0; i < QUADS(tile); ++i) {
    const int m = quad_m(item + i * ITEMS, tile, along_k);
    quads[i] =
        load_quad(x->next + starts[i], m, x->extent, x->k_stride, x->m_stride, along_k, vector);
  }
  x->next += (size_t)DEPTH * x->k_stride;
}

/// This work-item's quads to a slab.
INLINE void store_slab(const float4 *quads, local float4 *slab, int item, int tile, int along_k) {
#pragma unroll
  for (int i = 0; i < QUADS(tile); ++i) {
    const int e = item + i * ITEMS;
    store_quad(quads[i], slab, PITCH(tile), quad_k(e, tile, along_k), quad_m(e, tile, along_k),
               along_k);
  }
}
