// The OpenCL C sources, embedded when the package is built.
#pragma once
#include <stddef.h>

/// One embedded kernel file: its path (`gemm/panel.cl`) and its text, terminated by 0.
typedef struct {
  const char *path;
  const unsigned char *text;
} CarouselKernelFile;

/// The embedded kernel file of this index, in the order of their paths; path is NULL past the last.
CarouselKernelFile carousel_kernel_file(size_t index);
