// The LSTM cell: gates in the order i, f, g, o; z are the pre-activations, c' the cell state
// before.
//
//   i, f, o = sigmoid(z)    g = tanh(z)    c = f c' + i g    h = o tanh(c)
//
// Hochreiter & Schmidhuber 1997; Gers et al. 2000. Every strategy calls these functions and nothing
// else of the cell. A cell offers:
//
//   GATES             the gates that have weights, in the order of their rows.
//   NORM_FIRST        how many of them layer normalisation takes together; the rest are another
//                     group.
//   SLOTS             what a unit keeps for the backward pass; the first GATES begin as x W^T + b.
//   RECURRENT_SLOT    the slot that a gate's recurrent product is added to; where it is not the
//                     gate's own, the product's bias goes there too.
//   MEMORIES          the states of a unit beside h: 1, the cell state c.
//   NORMALIZES_MEMORY
//                     whether layer normalisation normalises c on the path to h; 0 where not
//                     defined.
//   HAS_DIRECT_PATH   whether h' reaches h other than through the products.
//   cell_gates        the first half of a step: `slots` holds sums of products; `c` [MEMORIES] has
//                     the states before and receives those after.
//   cell_output       the second: returns h. `slots` then holds what the backward pass needs.
//   cell_backward     one step back: `slots` receives the gradients of the sums; `dc` [MEMORIES]
//                     holds the gradients of the states that came from the step after and receives
//                     those of the states before; `direct` receives the gradient that reaches h'
//                     other than through the products.
//
// A cell with NORMALIZES_MEMORY offers the halves of the step back too, for what stands between c
// and h: cell_output_backward returns the gradient of c and that of o's result in `output`,
// cell_state_backward does the rest.
//
// Parameters:
//   FORGET      where the forget gate comes from: 0 weights of its own, 1 f = 1 - i (Greff et al.
//               2017), 2 f = i, 3 f = o, 4 a constant. In all but the first f has no rows.
//   PEEPHOLES   1: i and f see c', o sees c (Gers & Schmidhuber 2000).
//   CLIP        where defined, the bound on |c|; the gradient does not pass where it bit.
//
// Activation functions by index: 0 i, 1 f, 2 g, 3 o, 4 of c on the path to h.

#include "common/activation.cl"

#ifndef FORGET
#define FORGET 0
#endif
#ifndef PEEPHOLES
#define PEEPHOLES 0
#endif

#if FORGET == 0
#define GATES 4
enum { SLOT_I, SLOT_F, SLOT_G, SLOT_O };
#else
#define GATES 3
enum { SLOT_I, SLOT_G, SLOT_O };
#endif
#define SLOTS GATES
#define NORM_FIRST GATES
#define MEMORIES 1
#define NORMALIZES_MEMORY 1
#define HAS_DIRECT_PATH 0
#define RECURRENT_SLOT(gate) (gate)
/// Whether f follows another gate rather than being held.
#define FORGET_FOLLOWS (FORGET > 0 && ACT_1 != CONSTANT)

/// f from the activated slots.
INLINE REAL forget_gate(const REAL slots[SLOTS]) {
#if FORGET == 0
  return slots[SLOT_F];
#else
  if (!FORGET_FOLLOWS) return (REAL)(ALPHA_1);
  if (FORGET == 1) return (REAL)(1.0f) - slots[SLOT_I];
  return FORGET == 2 ? slots[SLOT_I] : slots[SLOT_O];
#endif
}

INLINE void cell_gates(REAL slots[SLOTS], REAL *c, Peepholes p) {
  const REAL before = *c;
#if PEEPHOLES
  slots[SLOT_I] = fma(p.input, before, slots[SLOT_I]);
#if FORGET == 0
  slots[SLOT_F] = fma(p.forget, before, slots[SLOT_F]);
#endif
#else
  slots[SLOT_O] = ACTIVATE(3, slots[SLOT_O]);
#endif
  slots[SLOT_I] = ACTIVATE(0, slots[SLOT_I]);
#if FORGET == 0
  slots[SLOT_F] = ACTIVATE(1, slots[SLOT_F]);
#endif
  slots[SLOT_G] = ACTIVATE(2, slots[SLOT_G]);
  REAL after = fma(forget_gate(slots), before, slots[SLOT_I] * slots[SLOT_G]);
#ifdef CLIP
  after = after > (REAL)(CLIP) ? (REAL)(CLIP) : after;
  after = after < (REAL)(-CLIP) ? (REAL)(-CLIP) : after;
#endif
#if PEEPHOLES
  slots[SLOT_O] = ACTIVATE(3, fma(p.output, after, slots[SLOT_O]));
#endif
  *c = after;
}

INLINE REAL cell_output(REAL slots[SLOTS], REAL h_before, const REAL *c) {
  return slots[SLOT_O] * ACTIVATE(4, *c);
}

INLINE REAL cell_output_backward(const REAL slots[SLOTS], REAL c, REAL dh, REAL *output) {
  const REAL u = ACTIVATE(4, c);
  *output = dh * u;
  return dh * slots[SLOT_O] * SLOPE(4, u);
}

INLINE void
cell_state_backward(REAL slots[SLOTS], REAL c_before, REAL c, REAL output, REAL *dc, Peepholes p) {
  const REAL i = slots[SLOT_I], g = slots[SLOT_G], o = slots[SLOT_O], f = forget_gate(slots);
  REAL d = *dc;
#if PEEPHOLES
  d = fma(p.output, output * SLOPE(3, o), d);
#endif
#ifdef CLIP
  d = fabs(c) >= (REAL)(CLIP) ? (REAL)(0.0f) : d;
#endif
  REAL input = d * g;
  const REAL forget = d * c_before;
  if (FORGET_FOLLOWS) {
    if (FORGET == 1) input -= forget;
    if (FORGET == 2) input += forget;
    if (FORGET == 3) output += forget;
  }
  REAL carried = d * f;
  slots[SLOT_I] = input * SLOPE(0, i);
#if FORGET == 0
  // A closed gate's slope of 0 comes before what might overflow.
  slots[SLOT_F] = d * (c_before * SLOPE(1, f));
#endif
  slots[SLOT_G] = d * i * SLOPE(2, g);
  slots[SLOT_O] = output * SLOPE(3, o);
#if PEEPHOLES
  carried = fma(p.input, slots[SLOT_I], carried);
#if FORGET == 0
  carried = fma(p.forget, slots[SLOT_F], carried);
#endif
#endif
  *dc = carried;
}

INLINE void cell_backward(REAL slots[SLOTS], REAL h_before, const REAL *c_before, const REAL *c,
                          REAL dh, REAL *dc, REAL *direct, Peepholes p) {
  REAL output;
  *dc += cell_output_backward(slots, *c, dh, &output);
  cell_state_backward(slots, *c_before, *c, output, dc, p);
}
