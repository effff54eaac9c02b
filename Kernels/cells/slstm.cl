// The LSTM with exponential gates, in the order i, f, z, o; a are the sums of its products, c', n',
// m' the states before.
//
//   m = max(log sigmoid(a_f) + m', a_i)    i = exp(a_i - m)    f = exp(log sigmoid(a_f) + m' - m)
//   z = tanh(a_z)    o = sigmoid(a_o)      c = f c' + i z      n = f n' + i      h = o c / n
//
// Beck et al. 2024 (xLSTM). The stabilizer m keeps i and f from overflowing and leaves h as it is.
// Where n is 0, i is below every number and nothing is remembered: c / n is z then, its limit.
//
// The functions and constants that every cell offers to the strategies are described in lstm.cl.
//
// Activation functions by index: 0 z, 1 o.

#include "common/activation.cl"

#define GATES 4
#define SLOTS GATES
#define NORM_FIRST GATES
#define MEMORIES 3
#define HAS_DIRECT_PATH 0
#define RECURRENT_SLOT(gate) (gate)
enum { SLOT_I, SLOT_F, SLOT_Z, SLOT_O };
enum { STATE_C, STATE_N, STATE_M };

/// log sigmoid(x).
INLINE REAL log_sigmoid(REAL x) {
  const REAL zero = (REAL)(0.0f);
  return (x < zero ? x : zero) - log1p(exponential(-fabs(x)));
}

/// For the backward pass the slots keep i, log sigmoid(a_f), z and o.
INLINE void cell_gates(REAL slots[SLOTS], REAL *c, Peepholes p) {
  const REAL log_f = log_sigmoid(slots[SLOT_F]), a_i = slots[SLOT_I];
  const REAL remembered = log_f + c[STATE_M];
  const REAL m = remembered > a_i ? remembered : a_i;
  const REAL i = exponential(a_i - m), f = exponential(remembered - m);
  const REAL z = ACTIVATE(0, slots[SLOT_Z]);
  slots[SLOT_I] = i;
  slots[SLOT_F] = log_f;
  slots[SLOT_Z] = z;
  slots[SLOT_O] = ACTIVATE(1, slots[SLOT_O]);
  c[STATE_C] = fma(f, c[STATE_C], i * z);
  c[STATE_N] = fma(f, c[STATE_N], i);
  c[STATE_M] = m;
}

/// c / n, or its limit.
INLINE REAL normalized_cell(const REAL slots[SLOTS], const REAL *c) {
  return c[STATE_N] == (REAL)(0.0f) ? slots[SLOT_Z] : c[STATE_C] / c[STATE_N];
}

INLINE REAL cell_output(REAL slots[SLOTS], REAL h_before, const REAL *c) {
  return slots[SLOT_O] * normalized_cell(slots, c);
}

INLINE void cell_backward(REAL slots[SLOTS], REAL h_before, const REAL *c_before, const REAL *c,
                          REAL dh, REAL *dc, REAL *direct, Peepholes p) {
  const REAL zero = (REAL)(0.0f), one = (REAL)(1.0f), half_of = (REAL)(0.5f);
  const REAL i = slots[SLOT_I], log_f = slots[SLOT_F], z = slots[SLOT_Z], o = slots[SLOT_O];
  const REAL remembered = log_f + c_before[STATE_M], f = exponential(remembered - c[STATE_M]);
  // c / n, and where n is 0 its limit z.
  const REAL quotient = normalized_cell(slots, c), d = dh * o;
  const REAL d_normalized = c[STATE_N] == zero ? zero : d / c[STATE_N];
  const REAL d_limit = c[STATE_N] == zero ? d : zero;
  const REAL d_c = dc[STATE_C] + d_normalized;
  const REAL d_n = fma(-d_normalized, quotient, dc[STATE_N]);
  // By way of i and f to the exponents, and to m, which they have in common.
  const REAL from_i = fma(d_c, z, d_n) * i;
  const REAL from_f = fma(d_c, c_before[STATE_C], d_n * c_before[STATE_N]) * f;
  const REAL d_m = dc[STATE_M] - from_i - from_f;
  // m is the larger of the two; of equal ones each has half of its gradient.
  const REAL share = i == one ? half_of : one;
  const REAL to_f = remembered == c[STATE_M] ? share * d_m : zero;
  const REAL d_remembered = from_f + to_f;
  slots[SLOT_I] = from_i + (d_m - to_f);
  slots[SLOT_F] = d_remembered * -exponential_minus_one(log_f);
  slots[SLOT_Z] = fma(d_c, i, d_limit) * SLOPE(0, z);
  slots[SLOT_O] = dh * quotient * SLOPE(1, o);
  dc[STATE_C] = d_c * f;
  dc[STATE_N] = d_n * f;
  dc[STATE_M] = d_remembered;
}
