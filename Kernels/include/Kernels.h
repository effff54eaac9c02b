// The OpenCL C sources, embedded when the package is built.
#pragma once
#include <stddef.h>

/// One embedded kernel file: its name (`gemm_cpu.cl`) and its text, not terminated by 0.
typedef struct {
  const char *name;
  const unsigned char *text;
  size_t length;
} CarouselKernelFile;

/// The embedded kernel file of this index, in the order of their names; name is NULL past the last.
CarouselKernelFile carousel_kernel_file(size_t index);
