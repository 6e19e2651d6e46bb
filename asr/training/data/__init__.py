"""The data of a run: corpus folder, checked manifests, batches that a run can resume in."""
