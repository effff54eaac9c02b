// How a device with few threads stays awake between two launches.

/// Waits until `call` is no longer `seen`, at most `polls` looks. One work-item.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
wait_actively(volatile global const int *call, int seen, int polls) {
  for (int i = 0; i < polls && *call == seen; ++i) {
    // Between two looks a chain of stores and loads, for which a core that is shared by two threads
    // has the other one's work done.
    for (volatile int pause = 0; pause < 16; ++pause) {
    }
  }
}
