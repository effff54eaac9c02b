// Where a convolution reads, and what follows its sums: shared by convolution.cl and
// window_products.cl.

#include "common/activation.cl"

/// Sizes and steps as convolution.cl has them. Where `period` is not 0 all rows of a plane are one:
/// OH and IH are 1, OW and IW count the elements of a plane, and BW is where its first window
/// begins. Every `period` columns of y begin another row, whose first window begins at `own_begin`,
/// and which is 0 beyond `limit` columns; kh + 1 is `row_tap` columns behind kh.
typedef struct {
  int D, R, KH, KW, IH, IW, OH, OW, SH, SW, UH, UW, BH, BW, TH, TW, w_row, w_depth;
  int activation, period, limit, row_tap, own_begin;
} Geometry;

// The functions of DirectConvolution.Activation, by number.
enum { NO_ACTIVATION, RECTIFIES, APPLIES_SIGMOID, APPLIES_TANH, APPLIES_SILU };

/// What takes long enough to be worth a call.
OUTLINE REAL curved(REAL x, int activation) {
  if (activation == APPLIES_TANH) return hyperbolic_tangent(x);
  return activation == APPLIES_SILU ? x * sigmoid(x) : sigmoid(x);
}

/// x or, where it is less and the activation is a rectifier, 0.
INLINE REAL rectified(REAL x, int activation) {
  return activation == RECTIFIES ? activate(RELU, x, x, x) : x;
}

INLINE REAL activated(REAL x, int activation) {
  return activation > RECTIFIES ? curved(x, activation) : rectified(x, activation);
}

/// The row of x that element kh of row `oh` of y meets; -1 where there is none.
INLINE int input_row(const Geometry *g, int oh, int kh) {
  const int scaled = oh * g->SH + g->BH + kh * g->TH, h = g->UH == 1 ? scaled : scaled / g->UH;
  return scaled < 0 || h >= g->IH || h * g->UH != scaled ? -1 : h;
}

#define GEOMETRY_PARAMETERS                                                                        \
  int D, int R, int KH, int KW, int IH, int IW, int OH, int OW, int SH, int SW, int UH, int UW,    \
      int BH, int BW, int TH, int TW, int w_row, int w_depth, int activation, int period,          \
      int limit, int row_tap, int own_begin

/// The Geometry of a kernel with GEOMETRY_PARAMETERS.
#define GEOMETRY                                                                                   \
  {                                                                                                \
    D, R, KH, KW, IH, IW, OH, OW, SH, SW, UH, UW, BH, BW, TH, TW, w_row, w_depth, activation,      \
        period, limit, row_tap, own_begin                                                          \
  }
