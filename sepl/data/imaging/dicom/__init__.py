"""DICOM, read by its bytes."""
