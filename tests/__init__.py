"""A regular package: without this file `tests` would mean the package of that name that argostranslate installs."""
