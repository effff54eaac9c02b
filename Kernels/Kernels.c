#include "Kernels.h"

static const unsigned char activation[] = {
#embed "activation.cl"
};

static const unsigned char active_wait[] = {
#embed "active_wait.cl"
};

static const unsigned char blocks[] = {
#embed "blocks.cl"
};

static const unsigned char column_sums[] = {
#embed "column_sums.cl"
};

static const unsigned char dropout[] = {
#embed "dropout.cl"
};

static const unsigned char embedding[] = {
#embed "embedding.cl"
};

static const unsigned char gemm_cpu[] = {
#embed "gemm_cpu.cl"
};

static const unsigned char gemm_gpu[] = {
#embed "gemm_gpu.cl"
};

static const unsigned char gradient_tiles[] = {
#embed "gradient_tiles.cl"
};

static const unsigned char grid[] = {
#embed "grid.cl"
};

static const unsigned char group[] = {
#embed "group.cl"
};

static const unsigned char gru[] = {
#embed "gru.cl"
};

static const unsigned char layer[] = {
#embed "layer.cl"
};

static const unsigned char lstm[] = {
#embed "lstm.cl"
};

static const unsigned char matrix[] = {
#embed "matrix.cl"
};

static const unsigned char merge[] = {
#embed "merge.cl"
};

static const unsigned char norm[] = {
#embed "norm.cl"
};

static const unsigned char norm_rows[] = {
#embed "norm_rows.cl"
};

static const unsigned char optimizer[] = {
#embed "optimizer.cl"
};

static const unsigned char panel[] = {
#embed "panel.cl"
};

static const unsigned char peak[] = {
#embed "peak.cl"
};

static const unsigned char philox[] = {
#embed "philox.cl"
};

static const unsigned char recurrent_resident[] = {
#embed "recurrent_resident.cl"
};

static const unsigned char recurrent_sequence[] = {
#embed "recurrent_sequence.cl"
};

static const unsigned char recurrent_sequence_backward[] = {
#embed "recurrent_sequence_backward.cl"
};

static const unsigned char recurrent_sequence_rows[] = {
#embed "recurrent_sequence_rows.cl"
};

static const unsigned char recurrent_step[] = {
#embed "recurrent_step.cl"
};

static const unsigned char recurrent_step_rows[] = {
#embed "recurrent_step_rows.cl"
};

static const unsigned char reduce[] = {
#embed "reduce.cl"
};

static const unsigned char resident_product[] = {
#embed "resident_product.cl"
};

static const unsigned char rnn[] = {
#embed "rnn.cl"
};

static const unsigned char row_order[] = {
#embed "row_order.cl"
};

static const unsigned char rows[] = {
#embed "rows.cl"
};

static const unsigned char shares[] = {
#embed "shares.cl"
};

static const unsigned char softmax[] = {
#embed "softmax.cl"
};

static const unsigned char squared_error[] = {
#embed "squared_error.cl"
};

static const unsigned char state_sums[] = {
#embed "state_sums.cl"
};

static const unsigned char states[] = {
#embed "states.cl"
};

static const unsigned char unit[] = {
#embed "unit.cl"
};

static const unsigned char vector[] = {
#embed "vector.cl"
};

static const unsigned char weight_gradients[] = {
#embed "weight_gradients.cl"
};

#define FILE_ENTRY(symbol)                                                                         \
  { #symbol ".cl", symbol, sizeof symbol }

static const CarouselKernelFile files[] = {
    FILE_ENTRY(activation),
    FILE_ENTRY(active_wait),
    FILE_ENTRY(blocks),
    FILE_ENTRY(column_sums),
    FILE_ENTRY(dropout),
    FILE_ENTRY(embedding),
    FILE_ENTRY(gemm_cpu),
    FILE_ENTRY(gemm_gpu),
    FILE_ENTRY(gradient_tiles),
    FILE_ENTRY(grid),
    FILE_ENTRY(group),
    FILE_ENTRY(gru),
    FILE_ENTRY(layer),
    FILE_ENTRY(lstm),
    FILE_ENTRY(matrix),
    FILE_ENTRY(merge),
    FILE_ENTRY(norm),
    FILE_ENTRY(norm_rows),
    FILE_ENTRY(optimizer),
    FILE_ENTRY(panel),
    FILE_ENTRY(peak),
    FILE_ENTRY(philox),
    FILE_ENTRY(recurrent_resident),
    FILE_ENTRY(recurrent_sequence),
    FILE_ENTRY(recurrent_sequence_backward),
    FILE_ENTRY(recurrent_sequence_rows),
    FILE_ENTRY(recurrent_step),
    FILE_ENTRY(recurrent_step_rows),
    FILE_ENTRY(reduce),
    FILE_ENTRY(resident_product),
    FILE_ENTRY(rnn),
    FILE_ENTRY(row_order),
    FILE_ENTRY(rows),
    FILE_ENTRY(shares),
    FILE_ENTRY(softmax),
    FILE_ENTRY(squared_error),
    FILE_ENTRY(state_sums),
    FILE_ENTRY(states),
    FILE_ENTRY(unit),
    FILE_ENTRY(vector),
    FILE_ENTRY(weight_gradients),
};

CarouselKernelFile carousel_kernel_file(size_t index) {
  return index < sizeof files / sizeof files[0] ? files[index] : (CarouselKernelFile){0};
}
