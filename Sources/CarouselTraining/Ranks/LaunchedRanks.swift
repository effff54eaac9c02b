import CarouselModel
import Foundation

/// What the environment says of the launcher that started this process as one of several.
public struct LaunchedRanks: Hashable, Sendable {
  /// Whose variables those are.
  public enum Launcher: String, Hashable, Sendable {
    /// Open MPI's `mpirun`, and Slurm's `srun --mpi=pmix`.
    case openMPI = "Open MPI"
    /// MPICH's `mpirun` and its relatives, and `srun --mpi=pmi2`.
    case mpich = "MPICH"
    /// Slurm's `srun` without MPI.
    case slurm = "Slurm"
  }

  /// The launcher, and the variable that gave the number of processes.
  public var launcher: Launcher, variable: String
  /// This process, and how many there are; the place among those of the same host where it is known.
  public var rank: Int, count: Int, localRank: Int?

  /// Reads the variables of an environment; nil where nothing started several processes together.
  public init?(_ environment: [String: String] = ProcessInfo.processInfo.environment) {
    func number(_ name: String) -> Int? { environment[name].flatMap { Int($0) } }
    let names: [(Launcher, count: String, rank: String, local: String)] = [
      (.openMPI, "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK"),
      (.mpich, "PMI_SIZE", "PMI_RANK", "MPI_LOCALRANKID"),
      // Of a step of `srun`: a batch script alone has the same variables of its allocation, but no step.
      (.slurm, "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID"),
    ]
    for (launcher, count, rank, local) in names {
      guard let found = number(count), found > 1, let own = number(rank) else { continue }
      (self.launcher, self.count, self.rank, variable) = (launcher, found, own, count)
      localRank = number(local) ?? number("SLURM_LOCALID")
      // `srun --mpi=pmix` sets PMIx's variables beside Slurm's own.
      if launcher == .slurm, environment["PMIX_RANK"] != nil { self.launcher = .openMPI }
      return
    }
    return nil
  }

  /// The names under which the launcher's library may be found, the likeliest first; `CAROUSEL_MPI` names another.
  var libraries: [String] {
    switch launcher {
    case .openMPI: ["libmpi.so.40", "libmpi.so"]
    case .mpich: ["libmpich.so.12", "libmpi.so.12", "libmpi_cray.so.12", "libmpi.so"]
    case .slurm: ["libmpi.so.40", "libmpich.so.12", "libmpi.so.12", "libmpi.so"]
    }
  }

  /// The error where this program is built without MPI.
  public var withoutMPI: CarouselError {
    CarouselError(
      .usage,
      "this is one of \(count) processes (\(variable)), but this program is built without MPI, and each would "
        + "do the same work; build it with 'swift build -c release --traits MPI', or start one process"
    )
  }
}
