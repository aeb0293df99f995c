-- Every component that is written is looked up among the cells. Cells tile the plane, and a quadtree of their boxes has fewer to
-- compare than an R-tree: two thirds of the time.
drop index cell_geom_gist;
create index cell_geom_spgist on cell using spgist (geom) where valid;

-- component_before sets the cell from this very table, whose rows are never deleted: to look it up once more tells nothing.
alter table component drop constraint component_cell_fkey;
