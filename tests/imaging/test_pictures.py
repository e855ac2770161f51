"""PNG, JPEG and TIFF; truth is the array that Pillow, tifffile or SimpleITK wrote."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

from napari_medseg.core.errors import GeometryError, MedsegError, ReadError
from napari_medseg.core.geometry import Geometry
from napari_medseg.core.mask import Mask
from napari_medseg.core.volume import Volume
from napari_medseg.imaging.files import read_mask, read_volume, write_mask, write_volume

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 255, (40, 50), dtype=np.uint8)
GREY16 = RNG.integers(0, 65535, (40, 50), dtype=np.uint16)
COLOUR = RNG.integers(0, 255, (40, 50, 3), dtype=np.uint8)
COLOUR16 = RNG.integers(0, 65535, (40, 50, 3), dtype=np.uint16)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("array", [GREY, GREY16, COLOUR], ids=["grey", "16 bit", "colour"])
def test_pictures_of_pillow(tmp_path: Path, array: np.ndarray, suffix: str) -> None:
    Image.fromarray(array).save(tmp_path / f"a{suffix}")
    volume = read_volume(tmp_path / f"a{suffix}")
    assert np.array_equal(volume.array, array[np.newaxis])
    assert volume.array.dtype == array.dtype
    assert not volume.geometry.spacing_known
    assert volume.name == "a"


def test_a_jpeg_is_what_pillow_decodes(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "a.jpeg")
    with Image.open(tmp_path / "a.jpeg") as truth:
        assert np.array_equal(read_volume(tmp_path / "a.jpeg").array[0], np.asarray(truth))
    Image.fromarray(COLOUR).convert("CMYK").save(tmp_path / "b.jpg")
    assert read_volume(tmp_path / "b.jpg").array.shape == (1, 40, 50, 3)


def test_sixteen_bit_colour_keeps_its_bits(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(COLOUR16, isVector=True), str(tmp_path / "a.png"))
    assert np.array_equal(read_volume(tmp_path / "a.png").array[0], COLOUR16)
    tifffile.imwrite(tmp_path / "a.tif", COLOUR16, photometric="rgb")
    assert np.array_equal(read_volume(tmp_path / "a.tif").array[0], COLOUR16)


def test_transparency_is_left_out_and_said(tmp_path: Path) -> None:
    alpha = np.dstack([COLOUR, GREY])
    Image.fromarray(alpha).save(tmp_path / "a.png")
    volume = read_volume(tmp_path / "a.png")
    assert np.array_equal(volume.array[0], COLOUR)
    assert volume.notes == ("The picture's transparency was left out.",)
    alpha[..., 3] = 255
    Image.fromarray(alpha).save(tmp_path / "b.png")
    assert read_volume(tmp_path / "b.png").notes == ()


def test_a_palette_is_colour_in_a_picture_and_a_number_in_a_mask(tmp_path: Path) -> None:
    picture = Image.fromarray(GREY // 64).convert("P")
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture.save(tmp_path / "a.png")
    assert np.array_equal(read_volume(tmp_path / "a.png").array[0], np.asarray(picture.convert("RGB")))
    mask = read_mask(tmp_path / "a.png")
    assert mask.names == ("label 1", "label 2", "label 3")
    assert np.array_equal(mask.flat()[0], GREY // 64)
    colours = np.zeros((3, 256), np.uint16)
    colours[0, 1] = colours[1, 2] = colours[2, 3] = 65535
    tifffile.imwrite(tmp_path / "a.tif", GREY // 64, photometric="palette", colormap=colours)
    assert np.array_equal(read_volume(tmp_path / "a.tif").array[0], np.asarray(picture.convert("RGB")))
    assert np.array_equal(read_mask(tmp_path / "a.tif").flat()[0], GREY // 64)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_masks_of_few_bits(tmp_path: Path, bits: int) -> None:
    labels = GREY >> (8 - bits)
    if bits == 1:
        Image.fromarray(labels.astype(bool)).save(tmp_path / "a.png")
    else:
        step = 255 // (2**bits - 1)
        Image.fromarray(labels * step).save(tmp_path / "a.png", bits=bits)
    assert np.array_equal(read_mask(tmp_path / "a.png").flat()[0], labels)


def test_a_turned_photograph_is_shown_as_stored_and_said(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(COLOUR).save(tmp_path / "a.jpg", exif=exif)
    volume = read_volume(tmp_path / "a.jpg")
    assert volume.geometry.shape == (1, 40, 50)
    assert "marked this picture as turned" in volume.notes[0]


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("array", [GREY, GREY16, COLOUR], ids=["grey", "16 bit", "colour"])
def test_packed_tiff(tmp_path: Path, array: np.ndarray, compression: str) -> None:
    pages = [Image.fromarray(np.roll(array, n)) for n in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:], compression=compression)
    truth = np.stack([np.asarray(page) for page in pages])
    assert np.array_equal(read_volume(tmp_path / "a.tif").array, truth)


def test_what_pillow_cannot_unpack_is_refused(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(COLOUR16, isVector=True)
    sitk.WriteImage(image, str(tmp_path / "a.tif"), useCompression=True, compressor="LZW")
    with pytest.raises(ReadError, match="a.tif is packed in a way that cannot be opened"):
        read_volume(tmp_path / "a.tif")


def test_stacks_and_channels(tmp_path: Path) -> None:
    stack = RNG.integers(0, 999, (4, 40, 50), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "z.tif", stack, photometric="minisblack", resolution=(300, 300))
    assert np.array_equal(read_volume(tmp_path / "z.tif").array, stack)
    assert not read_volume(tmp_path / "z.tif").geometry.spacing_known
    channels = RNG.integers(0, 999, (4, 2, 40, 50), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "zc.tif", channels, imagej=True, metadata={"axes": "ZCYX"})
    assert np.array_equal(read_volume(tmp_path / "zc.tif").array, channels.transpose(0, 2, 3, 1))
    colours = RNG.integers(0, 255, (4, 40, 50, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "rgb.tif", colours, photometric="rgb")
    assert np.array_equal(read_volume(tmp_path / "rgb.tif").array, colours)
    planes = np.ascontiguousarray(np.moveaxis(COLOUR, -1, 0))
    tifffile.imwrite(tmp_path / "planes.tif", planes, photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_volume(tmp_path / "planes.tif").array[0], COLOUR)


def test_stacks_over_time_are_never_guessed(tmp_path: Path) -> None:
    films = RNG.integers(0, 999, (3, 4, 40, 50), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", films, imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(ReadError, match="holds 3 volumes"):
        read_volume(tmp_path / "a.tif")
    assert np.array_equal(read_volume(tmp_path / "a.tif", 1).array, films[1])
    with pytest.raises(ReadError, match="no frame 1"):
        read_volume(tmp_path / "a.tif", 0) and read_volume(saved_png(tmp_path), 1)


def saved_png(folder: Path) -> Path:
    Image.fromarray(GREY).save(folder / "one.png")
    return folder / "one.png"


def test_pages_of_several_sizes_are_refused(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(GREY, photometric="minisblack")
        file.write(GREY[:20], photometric="minisblack")
    with pytest.raises(ReadError, match="2 pictures of different sizes"):
        read_volume(tmp_path / "a.tif")


def test_white_is_zero(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="miniswhite")
    assert np.array_equal(read_volume(tmp_path / "a.tif").array[0], 255 - GREY)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("part", [0.01, 0.2, 0.6, 0.95])
def test_a_truncated_picture_is_one_sentence(tmp_path: Path, suffix: str, part: float) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(COLOUR).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(ReadError, match="damaged or incomplete"):
        read_volume(path)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_any_byte_broken_never_ends_in_a_traceback(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(GREY).save(path)
    content = path.read_bytes()
    n_read = 0
    for at in range(0, len(content), 1 if suffix == ".png" and len(content) < 300 else 13):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :])
        try:
            n_read += read_volume(path).array.ndim in (3, 4)
        except ReadError as error:
            assert str(error).endswith(".")
    assert n_read < len(content)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_masks_are_class_numbers(tmp_path: Path, suffix: str) -> None:
    volume = Volume(COLOUR[np.newaxis], Geometry.of_pixels((1, 40, 50)))
    mask = Mask.from_labels((GREY // 100)[np.newaxis], volume.geometry, {1: "cup", 2: "disc"})
    path = write_mask(mask, tmp_path / f"m{suffix}", volume)
    stored = np.asarray(Image.open(path)) if suffix == ".png" else tifffile.imread(path)
    assert stored.dtype == np.uint8
    assert np.array_equal(stored, GREY // 100)
    again = read_mask(path, volume.geometry, {1: "cup", 2: "disc"})
    assert again.names == ("cup", "disc")


def test_many_structures_need_sixteen_bits(tmp_path: Path) -> None:
    labels = np.arange(300, dtype=np.uint16).reshape(1, 15, 20)
    volume = Volume(labels, Geometry.of_pixels((1, 15, 20)))
    mask = Mask.from_labels(labels, volume.geometry)
    for name in ("m.png", "m.tif", "m.nii.gz", "m.nrrd"):
        assert np.array_equal(read_volume(write_mask(mask, tmp_path / name, volume)).array, labels)


def test_a_stack_of_labels(tmp_path: Path) -> None:
    labels = RNG.integers(0, 3, (4, 40, 50), dtype=np.uint8)
    volume = Volume(labels, Geometry.of_pixels((4, 40, 50)))
    mask = Mask.from_labels(labels, volume.geometry)
    assert np.array_equal(tifffile.imread(write_mask(mask, tmp_path / "m.tif", volume)), labels)
    with pytest.raises(GeometryError, match="one slice, not 4"):
        write_mask(mask, tmp_path / "m.png", volume)


def test_pictures_are_written_as_read(tmp_path: Path) -> None:
    for array, name in ((GREY, "a.png"), (COLOUR, "b.png"), (GREY16, "c.png"), (COLOUR16, "d.tif")):
        volume = Volume(array[np.newaxis], Geometry.of_pixels((1, 40, 50)))
        assert np.array_equal(read_volume(write_volume(volume, tmp_path / name)).array, volume.array)
    with pytest.raises(MedsegError, match="cannot hold float32"):
        floats = Volume(GREY[np.newaxis].astype(np.float32), Geometry.of_pixels((1, 40, 50)))
        write_volume(floats, tmp_path / "e.png")
