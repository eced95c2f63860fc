"""Archives: many files, separated or learned from, on one machine or on the workers of a Dask cluster.

Dask and fsspec are optional (`pip install 'nmfaudio[cluster]'`); only this room imports them.
"""
