"""Parts of bench_admission."""
