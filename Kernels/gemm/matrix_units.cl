// Blocks of products on the matrix units of a GPU, their operands rounded to fewer bits.
//
// A warp, 32 work-items in a row, adds to blocks of 16 rows by 8 columns the products of 16 k at a
// time. Each of its work-items, lane 4 g + t, holds four sums of a block: rows g and g + 8, columns
// 2 t and 2 t + 1. Both operands lie in local memory, in one of two ways:
//
//   along k    rows of `pitch` float4, four k in each; those of rows of eight or more are permuted
//              within groups of eight, so that neither eight work-items that read one place of
//              eight rows nor those that read four places of two find the same banks;
//   across k   for each k a row of `pitch` floats, those of four k shifted against each other.
//
// NVIDIA's units are used through PTX, from compute capability 8.0 on; elsewhere each work-item
// computes its sums itself, to the same rounding.
//
// Parameters:
//   PRECISION   0: Float32, and no matrix units; 1: TF32, Float32 with 10 bits of the fraction;
//               2: BF16, with 7 bits; 3: TF32 in three products, of two parts of each factor, whose
//               sum is about as exact as Float32.

#include "common/vector.cl"

#ifndef PRECISION
#define PRECISION 0
#endif

#if defined(__NV_CL_C_VERSION) && PRECISION
#define MATRIX_UNITS 1
#else
#define MATRIX_UNITS 0
#endif

/// Where in a row of eight or more float4 the one at `place` lies.
#define PLACE(row, place) ((place) ^ (((row)&1) << 2 | ((row) >> 1 & 3)))

/// Where in a row of floats across k the one of row m of the matrix lies.
#define PLACE_ACROSS(k, m) ((m) ^ ((k) >> 2 & 3) << 3)

/// What an element of an operand becomes in local memory.
INLINE float round_stored(float x) {
  return PRECISION == 1 && x == x ? as_float((as_uint(x) + 0x1000u) & 0xffffe000u) : x;
}

INLINE float4 round_four(float4 x) {
  return (float4)(round_stored(x.x), round_stored(x.y), round_stored(x.z), round_stored(x.w));
}

#if PRECISION
/// An operand in local memory, of which a warp reads the rows from `first` on, a multiple of 8. The
/// columns of the right operand are rows here too.
typedef struct {
  local const float4 *values;
  int pitch, along_k, first;
} MatrixOperand;

/// k 4 place to 4 place + 3 of the warp's row `row` of an operand; `row0` is `row`, or any number
/// as far from a multiple of 8 that the compiler knows more of.
INLINE float4 matrix_four(const MatrixOperand *operand, int row, int row0, int place) {
  const int pitch = operand->pitch, m = operand->first + row;
  if (operand->along_k)
    return operand->values[m * pitch + (pitch % 8 ? place : PLACE(row0, place))];
  local const float *x = (local const float *)operand->values + PLACE_ACROSS(4 * place, m);
  x += 4 * place * pitch;
  return (float4)(x[0], x[pitch], x[2 * pitch], x[3 * pitch]);
}

#if MATRIX_UNITS
/// Two neighbours of a row as BF16, the first one in the lower half.
INLINE uint pack_bf16(float first, float second) {
  uint pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  return pair;
}

/// sums += left right^T of 16 x 8 sums and 8 k in TF32.
INLINE float4 multiply_tf32(float4 sums, float a0, float a1, float a2, float a3, float b0,
                            float b1) {
  float x = sums.x, y = sums.y, z = sums.z, w = sums.w;
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(x), "+f"(y), "+f"(z), "+f"(w)
      : "r"(as_uint(a0)), "r"(as_uint(a1)), "r"(as_uint(a2)), "r"(as_uint(a3)), "r"(as_uint(b0)),
        "r"(as_uint(b1)));
  return (float4)(x, y, z, w);
}

/// The same of the first two k of each work-item, and of the others.
INLINE float4 multiply_xy(float4 sums, float4 upper, float4 lower, float4 right) {
  return multiply_tf32(sums, upper.x, lower.x, upper.y, lower.y, right.x, right.y);
}
INLINE float4 multiply_zw(float4 sums, float4 upper, float4 lower, float4 right) {
  return multiply_tf32(sums, upper.z, lower.z, upper.w, lower.w, right.z, right.w);
}

/// The same of 16 k in BF16, two of them in each operand.
INLINE float4 multiply_bf16(float4 sums, uint a0, uint a1, uint a2, uint a3, uint b0, uint b1) {
  float x = sums.x, y = sums.y, z = sums.z, w = sums.w;
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(x), "+f"(y), "+f"(z), "+f"(w)
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
  return (float4)(x, y, z, w);
}

#if PRECISION == 3
/// x to the nearest TF32.
INLINE float4 leading_part(float4 x) { return as_float4((as_uint4(x) + 0x1000u) & 0xffffe000u); }

/// What the leading part lacks, of which the units cut off a bit at most. No number stays none.
INLINE float4 rest_part(float4 x) { return x - leading_part(x); }
#endif
#else
INLINE float dot_four(float4 a, float4 b) {
  return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, a.x * b.x)));
}

/// x with fewer bits of the fraction, the nearest such number; of two as near the even one for
/// BF16, the larger one for TF32.
INLINE float4 drop_bits(float4 x) {
  const uint drop = PRECISION == 2 ? 16 : 13;
  const uint4 bits = as_uint4(x), even = PRECISION == 2 ? (bits >> drop & 1) - 1 : (uint4)(0);
  return as_float4((bits + (1u << (drop - 1)) + even) >> drop << drop);
}

/// Four products of rounded factors.
INLINE float dot_rounded(float4 a, float4 b) {
  const float4 p = drop_bits(a), q = drop_bits(b);
  if (PRECISION != 3) return dot_four(p, q);
  return dot_four(p, q) + (dot_four(p, b - q) + dot_four(a - p, q));
}
#endif

#if MATRIX_UNITS
/// sums [blocks_m, blocks_n] += left right^T of 16 k from place `place` on; blocks_n is at most 8.
/// All work-items of the warp take part.
INLINE void multiply_blocks(float4 *sums, int blocks_m, int blocks_n, const MatrixOperand *left,
                            const MatrixOperand *right, int place) {
  const int lane = (int)get_local_id(0) & 31, g = lane / 4, t = lane % 4;
// A column's four are the same for every i: compilers read them once, and keep no array that they
// might index. Products that wait for each other are as far apart as a row of blocks allows.
#define COLUMN_FOUR(j) matrix_four(right, 8 * (j) + g, g, place + t)
#define EACH_COLUMN(j) _Pragma("unroll") for (int j = 0; j < blocks_n; ++j)
#pragma unroll
  for (int i = 0; i < blocks_m; ++i) {
    const float4 upper = matrix_four(left, 16 * i + g, g, place + t);
    const float4 lower = matrix_four(left, 16 * i + g + 8, g, place + t);
    float4 *row_sums = sums + i * blocks_n;
#if PRECISION == 1
    EACH_COLUMN(j) row_sums[j] = multiply_xy(row_sums[j], upper, lower, COLUMN_FOUR(j));
    EACH_COLUMN(j) row_sums[j] = multiply_zw(row_sums[j], upper, lower, COLUMN_FOUR(j));
#elif PRECISION == 2
    const uint a0 = pack_bf16(upper.x, upper.y), a1 = pack_bf16(lower.x, lower.y);
    const uint a2 = pack_bf16(upper.z, upper.w), a3 = pack_bf16(lower.z, lower.w);
    EACH_COLUMN(j) {
      const float4 four = COLUMN_FOUR(j);
      row_sums[j] = multiply_bf16(row_sums[j], a0, a1, a2, a3, pack_bf16(four.x, four.y),
                                  pack_bf16(four.z, four.w));
    }
#else
    const float4 upper_rest = rest_part(upper), lower_rest = rest_part(lower);
    const float4 upper_part = leading_part(upper), lower_part = leading_part(lower);
    // The units cut off what they add: few of their sums follow each other, the small ones first.
    float4 few[8];
    EACH_COLUMN(j)
    few[j] = multiply_xy((float4)(0.0f), upper_rest, lower_rest, leading_part(COLUMN_FOUR(j)));
    EACH_COLUMN(j)
    few[j] = multiply_zw(few[j], upper_rest, lower_rest, leading_part(COLUMN_FOUR(j)));
    EACH_COLUMN(j) few[j] = multiply_xy(few[j], upper_part, lower_part, rest_part(COLUMN_FOUR(j)));
    EACH_COLUMN(j) few[j] = multiply_zw(few[j], upper_part, lower_part, rest_part(COLUMN_FOUR(j)));
    EACH_COLUMN(j)
    few[j] = multiply_xy(few[j], upper_part, lower_part, leading_part(COLUMN_FOUR(j)));
    EACH_COLUMN(j)
    row_sums[j] += multiply_zw(few[j], upper_part, lower_part, leading_part(COLUMN_FOUR(j)));
#endif
  }
}
#else
/// The same, each work-item by itself.
INLINE void multiply_blocks(float4 *sums, int blocks_m, int blocks_n, const MatrixOperand *left,
                            const MatrixOperand *right, int place) {
  const int lane = (int)get_local_id(0) & 31, g = lane / 4, t = lane % 4;
  for (int p = place; p < place + 4; ++p) {
    for (int i = 0; i < blocks_m; ++i) {
      const float4 upper = matrix_four(left, 16 * i + g, g, p);
      const float4 lower = matrix_four(left, 16 * i + g + 8, g, p);
      for (int j = 0; j < blocks_n; ++j) {
        const int column = 8 * j + 2 * t;
        const float4 first = matrix_four(right, column, 2 * t, p);
        const float4 second = matrix_four(right, column + 1, 2 * t + 1, p);
        sums[i * blocks_n + j] += (float4)(dot_rounded(upper, first), dot_rounded(upper, second),
                                           dot_rounded(lower, first), dot_rounded(lower, second));
      }
    }
  }
}
#endif
#endif
