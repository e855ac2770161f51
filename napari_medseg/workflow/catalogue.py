"""The published models a user may download, each with its address, its SHA-256, its size and its licence.

Each SHA-256 was found alike in several public places that do not copy each other (docs/models.md names
them); what is not known for certain is not here, and is imported from a file instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from napari_medseg.core.model import Preparation

_META = "https://dl.fbaipublicfiles.com/segment_anything/"
_HQ = "https://huggingface.co/lkeab/hq-sam/resolve/main/"
_MOBILE = "https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/"
_MEDSAM = "https://zenodo.org/records/10689643/files/"


@dataclass(frozen=True)
class Download:
    """A model that can be fetched: a published checkpoint, or an archive with the three files of a model.

    Parameters
    ----------
    n_bytes : int
        Size of the file.
    licence : str
        What its authors allow, shown before the first byte comes and kept in the model's card.
    preparation : Preparation
        How its authors prepared images; the long side is read off the checkpoint.
    """

    url: str
    sha256: str
    n_bytes: int
    licence: str
    help: str
    preparation: Preparation = Preparation()

    @property
    def file_name(self) -> str:
        """What the file is called where it comes from."""
        return self.url.rsplit("/", 1)[-1]


def _apache(address: str, sha256: str, n_bytes: int, help: str) -> Download:
    return Download(address, sha256, n_bytes, "Apache-2.0", help)


CATALOGUE: dict[str, Download] = {
    "sam-vit-b": _apache(
        _META + "sam_vit_b_01ec64.pth",
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        375_042_383,
        "SAM, the smallest of the three: photographs of everything, 11 million of them.",
    ),
    "sam-vit-l": _apache(
        _META + "sam_vit_l_0b3195.pth",
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        1_249_524_607,
        "SAM, large: better and slower; for a graphics card.",
    ),
    "sam-vit-h": _apache(
        _META + "sam_vit_h_4b8939.pth",
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        2_564_550_879,
        "SAM, the largest; for a graphics card.",
    ),
    "medsam-vit-b": Download(
        _MEDSAM + "medsam_vit_b.pth",
        "34b34b78c1d18cb8c6bf84cf9c00e135d6d6c965699f3c0e31ef1bc9dcb5be74",
        375_049_145,
        "CC-BY-4.0 (weights), Apache-2.0 (code)",
        "MedSAM: SAM's smallest trained on 1.5 million medical images; knows boxes only.",
        Preparation(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    ),
    "mobile-sam": _apache(
        _MOBILE + "mobile_sam.pt",
        "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
        40_728_226,
        "MobileSAM: SAM with a small encoder; the quickest without a graphics card.",
    ),
    "hq-sam-tiny": _apache(
        _HQ + "sam_hq_vit_tiny.pth",
        "0f32c075ccdd870ae54db2f7630e7a0878ede5a2b06d05d6fe02c65a82fb7196",
        42_526_881,
        "Light HQ-SAM: MobileSAM's encoder with finer outlines.",
    ),
    "hq-sam-vit-b": _apache(
        _HQ + "sam_hq_vit_b.pth",
        "14a9d662cd6f5a9c2dba6d40ab0058d88d287e4a18fd6fdc6ad5fb1a3fdeaa57",
        379_335_069,
        "HQ-SAM: SAM's smallest with finer outlines.",
    ),
    "hq-sam-vit-l": _apache(
        _HQ + "sam_hq_vit_l.pth",
        "e1a6c385d62bf005ded91a54d5ec55c985cfc4103ef89c08d90f39f04934c343",
        1_254_865_805,
        "HQ-SAM, large; for a graphics card.",
    ),
    "hq-sam-vit-h": _apache(
        _HQ + "sam_hq_vit_h.pth",
        "a7ac14a085326d9fa6199c8c698c4f0e7280afdbb974d2c4660ec60877b45e35",
        2_570_940_653,
        "HQ-SAM, the largest; for a graphics card.",
    ),
}
