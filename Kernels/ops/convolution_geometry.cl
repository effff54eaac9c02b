// Where a convolution reads, and what follows its sums: shared by convolution.cl and
// few_windows.cl.

#include "common/activation.cl"

/// Sizes and steps as convolution.cl has them.
typedef struct {
  int D, R, KH, KW, IH, IW, OH, OW, SH, SW, UH, UW, BH, BW, TH, TW, w_row, w_depth;
  int activation;
} Geometry;

/// The function of DirectConvolution.Activation: none, relu, sigmoid, tanh, silu.
OUTLINE REAL activated(REAL x, int activation) {
  switch (activation) {
  case 0:
    return x;
  case 1:
    return activate(RELU, x, x, x);
  case 2:
    return sigmoid(x);
  case 3:
    return hyperbolic_tangent(x);
  default:
    return x * sigmoid(x);
  }
}

/// The row of x that element kh of row `oh` of y meets; -1 where there is none.
INLINE int input_row(const Geometry *g, int oh, int kh) {
  const int scaled = oh * g->SH + g->BH + kh * g->TH, h = g->UH == 1 ? scaled : scaled / g->UH;
  return scaled < 0 || h >= g->IH || h * g->UH != scaled ? -1 : h;
}

#define GEOMETRY_PARAMETERS                                                                        \
  int D, int R, int KH, int KW, int IH, int IW, int OH, int OW, int SH, int SW, int UH, int UW,    \
      int BH, int BW, int TH, int TW, int w_row, int w_depth, int activation

/// The Geometry of a kernel with GEOMETRY_PARAMETERS.
#define GEOMETRY                                                                                   \
  {                                                                                                \
    D, R, KH, KW, IH, IW, OH, OW, SH, SW, UH, UW, BH, BW, TH, TW, w_row, w_depth, activation       \
  }
