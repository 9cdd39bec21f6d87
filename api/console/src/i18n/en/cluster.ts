const cluster = {
  title: "Cluster",
};

export default cluster;
