"""The data sets by their names, each read into a `Table` by one function."""

from ..core.registry import Registry
from .class_folders import folders
from .clinical import ddi, fitzpatrick17k, pad_ufes_20
from .isic import ham10000, isic2019, isic2020, siim
from .own_table import table

DATASETS = Registry("data set")
for read in (ddi, fitzpatrick17k, folders, ham10000, isic2019, isic2020, pad_ufes_20, siim, table):
    DATASETS.register(read)
