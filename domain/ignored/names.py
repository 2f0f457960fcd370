"""The files that are nobody's image: what systems and programs leave beside photographs.

One list for the inbox, for training data and for archives. A name is on it only if it is certainly
not a person's image; in particular `_MG_1234.JPG` and `_DSC0042.JPG` are (cameras name Adobe RGB
photographs so), and folders whose names begin with an underscore are people's.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SystemNames:
    """Names of one origin. `*` stands for any characters; case does not matter."""

    origin: str
    what: str
    names: tuple[str, ...]

    @property
    def reason(self) -> str:
        return f"{self.origin}: {self.what}"


DATASET_RECORD = "_dataset.json"
"""Beside the splits of an uploaded data set: what was left out of it."""

DATASET_MANIFEST = ".sortbox-dataset.json"
"""Beside the splits of a joined data set: its version, and where it comes from."""

MANIFEST_BYTES = 2**20
"""The largest one that is read."""

CORRECTIONS_RECORD = ".sortbox-corrections.json"
"""Beside the class folders of downloaded corrections: which ones they are."""

HIDDEN = "hidden: the name begins with a dot"

FILES: tuple[SystemNames, ...] = (
    SystemNames(
        "Sortbox",
        "a marker or a report of a folder",
        ("_ready", "_report.html", "_status", "_status.json", "_summary", "_summary.json"),
    ),
    SystemNames(
        "Sortbox",
        "the record of a data set",
        (DATASET_RECORD, DATASET_MANIFEST, CORRECTIONS_RECORD),
    ),
    SystemNames("macOS", "settings of a folder", (".ds_store", ".localized", "icon\r")),
    SystemNames("macOS", "attributes of another file", ("._*",)),
    SystemNames(
        "iCloud", "a placeholder of a file that is not on the computer yet", (".*.icloud",)
    ),
    SystemNames("Windows", "settings of a folder", ("desktop.ini",)),
    SystemNames(
        "Windows",
        "thumbnails",
        ("thumbs.db", "thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db"),
    ),
    SystemNames("Windows", "the origin of another file", ("*:zone.identifier",)),
    SystemNames(
        "Windows", "settings of a disk", ("wpsettings.dat", "indexervolumeguid", "pagefile.sys")
    ),
    SystemNames("Windows", "what a repair of the disk found", ("file[0-9][0-9][0-9][0-9].chk",)),
    SystemNames("Office", "a lock of an open document", ("~$*",)),
    SystemNames("Linux", "settings of a folder", (".directory",)),
    SystemNames("Synology", "attributes of another file", ("*@synoeastream", "*@synoresource")),
    SystemNames(
        "Synology",
        "thumbnails",
        ("synophoto_thumb_*", "synophoto_film_*", "synoindex_media_info", "synovideo_*"),
    ),
    SystemNames(
        "Hadoop",
        "a marker of a finished or running job",
        ("_success", "_committed_[0-9]*", "_started_[0-9]*"),
    ),
    SystemNames("Hadoop", "a marker of a folder", ("*_$folder$",)),
    SystemNames("Hadoop", "a file that is still being copied", ("*._copying_",)),
    SystemNames("Hadoop", "the index of a table", ("_metadata", "_common_metadata")),
    SystemNames("Syncthing", "a file that is still being transferred", ("~syncthing~*.tmp",)),
    SystemNames("Resilio Sync", "a file that is still being transferred", ("*.!sync", "*.bts")),
    SystemNames("a photo program", "edits and keywords of a photograph", ("*.xmp", "*.aae")),
    SystemNames(
        "Lightroom",
        "a catalogue",
        (
            "*.lrcat",
            "*.lrcat-data",
            "*.lrcat-journal",
            "*.lrcat-shm",
            "*.lrcat-wal",
            "*.lrcat.lock",
        ),
    ),
    SystemNames(
        "digiKam",
        "a catalogue",
        ("digikam4.db", "thumbnails-digikam.db", "recognition.db", "similarity.db"),
    ),
    SystemNames("Picasa", "edits of a folder", ("picasa.ini", ".picasa.ini")),
    SystemNames("Capture One", "edits of a photograph", ("*.cos", "*.cop", "*.cot")),
    SystemNames("RawTherapee", "edits of a photograph", ("*.pp3", "*.arp")),
    SystemNames("DxO PhotoLab", "edits of a photograph", ("*.dop",)),
    SystemNames("ON1", "edits of a photograph", ("*.on1",)),
    SystemNames("Nikon", "edits of a photograph", ("*.nksc",)),
    SystemNames("Paint Shop Pro", "thumbnails", ("pspbrwse.jbf",)),
    SystemNames("ZoomBrowser", "thumbnails", ("zbthumbnail.info",)),
    SystemNames("Adobe Bridge", "thumbnails", ("adobe bridge cache.bc", "adobe bridge cache.bct")),
    SystemNames("a camera", "the thumbnail or index of a film", ("*.thm", "*.ctg", "index.mif")),
    SystemNames("a camera", "a print order", ("autprint.mrk",)),
    SystemNames("DVC", "the checksum of another file", ("*.dvc",)),
    SystemNames("Python", "compiled code", ("*.pyc",)),
)

FOLDERS: tuple[SystemNames, ...] = (
    SystemNames("macOS", "attributes of the other files of an archive", ("__macosx",)),
    SystemNames(
        "macOS",
        "trash and temporary files",
        ("network trash folder", "temporary items", "thevolumesettingsfolder"),
    ),
    SystemNames("Windows", "the recycle bin", ("$recycle.bin",)),
    SystemNames("Windows", "data of a disk", ("system volume information",)),
    SystemNames("Windows", "what a repair of the disk found", ("found.[0-9][0-9][0-9]",)),
    SystemNames("Linux", "what a repair of the disk found", ("lost+found",)),
    SystemNames("Synology", "thumbnails and indexes", ("@eadir", "@tmp", "@synoresource")),
    SystemNames("Synology", "the recycle bin and snapshots", ("#recycle", "#snapshot")),
    SystemNames("QNAP", "the recycle bin and snapshots", ("@recycle", "@recently-snapshot")),
    SystemNames("NetApp", "snapshots", ("~snapshot",)),
    SystemNames("Hadoop", "output of a running job", ("_temporary", "_distcp_logs*")),
    SystemNames("Spark", "the log of a table", ("_delta_log", "_spark_metadata")),
    SystemNames("GoodSync", "its state", ("_gsdata_", "_syncapp")),
    SystemNames("FrontPage", "its state", ("_vti_cnf", "_vti_pvt")),
    SystemNames("Lightroom", "previews", ("*.lrdata",)),
    SystemNames("Nikon", "edits of photographs", ("nksc_param",)),
    SystemNames("Python", "compiled code", ("__pycache__",)),
)
"""Folders of other names that begin with a dot (`.git`, `.thumbnails`, `.dropbox.cache`,
`.stversions`, `.@__thumb`) are hidden."""
