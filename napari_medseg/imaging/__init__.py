"""Files to volumes and back: everything that speaks nibabel, SimpleITK, pydicom or highdicom."""
