"""No SciPy, as in a user's installation: here it comes with scikit-learn, and Numba would import it in each process."""

raise ImportError("SciPy is no dependency of the package")
