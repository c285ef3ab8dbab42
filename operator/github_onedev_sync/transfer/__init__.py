"""HOW git data moves: listing refs, planning pushes, and the engines that carry a plan out."""
