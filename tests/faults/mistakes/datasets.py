"""Mistakes about files that are ignored, and about the folders of data sets."""

from tests.faults.mistakes.product import UNIT, Mistake

OF_THE_DATA_SETS = (
    Mistake(
        "a split is known by one spelling only",
        "domain/class_folders.py",
        "words = [word.casefold() for word in",
        "words = [word for word in",
        f"{UNIT}/training/data/test_folders.py::test_folders_of_splits_are_splits_in_any_spelling",
    ),
    Mistake(
        "folds of a data set are trained on as classes",
        "training/data/ambiguous.py",
        '*("fold", "folds", ',
        "*(",
        f"{UNIT}/training/data/test_folders.py::test_what_could_be_read_in_two_ways_is_refused",
    ),
    Mistake(
        "folders of folders are trained on as classes",
        "training/data/ambiguous.py",
        "            if len(below) > 1 and () not in below:\n",
        "            if len(below) > 9 and () not in below:\n",
        f"{UNIT}/training/data/test_folders.py::test_what_could_be_read_in_two_ways_is_refused",
    ),
    Mistake(
        "a linked folder below a class is dropped without a word",
        "training/data/folders.py",
        "            elif Path(path, name).is_symlink():\n",
        "            elif False:\n",
        f"{UNIT}/training/data/test_folders.py"
        "::test_a_link_that_cannot_be_followed_is_refused_by_name",
    ),
    Mistake(
        "a folder beside the splits is dropped without a word",
        "training/data/folders.py",
        "                if reason or not is_used:\n",
        "                if reason:\n",
        f"{UNIT}/training/data/test_folders.py::test_what_is_not_used_is_named_with_the_reason",
    ),
    Mistake(
        "the report forgets what was left out before the upload",
        "training/reports/training_report.py",
        '"left_out": dataset.record.left_out + len(dataset.left_out),',
        '"left_out": len(dataset.left_out),',
        f"{UNIT}/training/reports/test_training_report.py"
        "::test_the_report_says_what_was_left_out_before_the_upload_and_in_the_job",
    ),
    Mistake(
        "a rule speaks of numbers of classes",
        "training/debugger/rules/tensor.py",
        "        if not counts:  # tensors",
        "        if True:  # tensors",
        f"{UNIT}/training/debugger/test_rules.py::test_classes_are_named_and_their_photos_counted",
    ),
    Mistake(
        "a mirrored copy of a test image stays in train unseen",
        "training/findings/twins.py",
        "            np.abs(similarity, out=similarity)\n",
        "",
        f"{UNIT}/training/findings/test_twins.py"
        "::test_the_first_of_two_is_kept_and_the_second_names_it",
    ),
    Mistake(
        "a list of other data leaves out nothing without a word",
        "training/data/dataset.py",
        "    if paths and not excluded:\n",
        "    if False:\n",
        f"{UNIT}/training/data/test_dataset.py::test_a_list_of_other_data_is_refused",
    ),
)
